"""Send an event to a URL, signed by the Standard Webhooks specification.

Errand stores such jobs itself when a job or a batch ends that has a webhook; post one to send an event of your own.
"""

import json
from base64 import b64decode
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue
from standardwebhooks import Webhook

from errand.contract.attempt import job_id
from errand.contract.job import job
from errand.contract.retry import Backoff
from errand.webhook.address import check_url
from errand.webhook.gone_urls import GoneNote
from errand.webhook.request import UndeliveredError, name_host, post
from errand.webhook.settings import HOW, WebhookSettings, read_webhook_settings


def _check_url(url: str) -> str:
    """Check a URL; settings are read only for one that needs them: the example is checked before they are."""
    try:
        return check_url(url)
    except ValueError:
        return check_url(url, read_webhook_settings().allow_private)


Url = Annotated[str, AfterValidator(_check_url)]


class Event(BaseModel):
    """An event and the URL it goes to. `result_base64` is JSON as RQ keeps results; it is sent as `data.result`."""

    model_config = ConfigDict(extra="forbid")
    url: Url
    type: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=100)]
    timestamp: AwareDatetime | None = None
    data: dict[str, JsonValue] = {}
    result_base64: str | None = None


@job(
    queue="webhook",
    timeout_seconds=60,
    retry=Backoff(tries=50, hours=48, base_seconds=5, cap_seconds=3 * 3600),
    settings=WebhookSettings,
    example={
        "url": "https://example.com/hooks",
        "type": "invoice.paid",
        "timestamp": "2026-12-24T18:00:00Z",
        "data": {"invoice": 7},
    },
)
def run(event: Event) -> dict[str, int]:
    """Send it; return the answer's status. Any answer but 2xx is a failure, and 410 (Gone) one for good.

    After a 410 nothing more is sent to the URL for a week.
    """
    settings, gone = read_webhook_settings(), GoneNote(event.url)
    gone.check()
    now = datetime.now(UTC)
    body = _write(event, now)
    answer = post(event.url, body.encode(), _sign(settings, now, body), settings.allow_private)
    if answer.status == 410:
        raise gone.keep()
    if not 200 <= answer.status < 300:
        wait_seconds = answer.retry_after_seconds
        asks = f" and asks to wait {wait_seconds:.0f} s" if wait_seconds else ""
        raise UndeliveredError(f"{name_host(event.url)} answered {answer.status}{asks}", wait_seconds)
    gone.lift()
    return {"status": answer.status}


def _write(event: Event, now: datetime) -> str:
    """Return the body: the same at each attempt, except for the time of an event that names none."""
    data: dict[str, Any] = dict(event.data)
    if event.result_base64:
        data["result"] = json.loads(b64decode(event.result_base64))
    timestamp = (event.timestamp or now).astimezone(UTC).isoformat().replace("+00:00", "Z")
    written = {"type": event.type, "timestamp": timestamp, "data": data}
    return json.dumps(written, separators=(",", ":"))


def _sign(settings: WebhookSettings, now: datetime, body: str) -> dict[str, str]:
    if not settings.secrets:
        raise UndeliveredError(f"WEBHOOK_SECRETS is not set for the worker, so nothing can be signed; {HOW}")
    id = job_id()
    signatures = (Webhook(secret).sign(id, now, body) for secret in settings.secrets)
    return {
        "Content-Type": "application/json",
        "User-Agent": "Errand",
        "webhook-id": id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
