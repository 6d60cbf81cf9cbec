"""What the API and the workers need of webhooks: whether a URL may be one, and what the scripts that end jobs store."""

import json
from typing import Any

from rq import Retry

from errand.contract.job import Job
from errand.redis.lua.loader import Value
from errand.store.fields import OWN, offline_queue
from errand.webhook.address import check_url
from errand.webhook.settings import HOW, read_webhook_settings

TYPE = "webhook"


class Webhooks:
    """The webhooks of a process, by its job types and the settings in its environment."""

    def __init__(self, types: dict[str, Job[..., Any]]) -> None:
        self._settings = read_webhook_settings()
        self._job = types.get(TYPE)

    def check(self, url: str) -> None:
        """Raise ValueError, which says what to do, where nothing could be sent to `url`."""
        if self._job is None:
            raise ValueError("there are no webhooks here: jobs/webhook.py is missing")
        if not self._settings.secrets:
            raise ValueError(f"webhooks are signed, and WEBHOOK_SECRETS is not set; {HOW}")
        check_url(url, self._settings.allow_private)

    @property
    def values(self) -> dict[str, Value]:
        """What the scripts that end jobs take: a webhook's job as JSON, and the URL that hears of all ends."""
        if self._job is None:
            return {}
        url = self._settings.webhook_url
        return {"WEBHOOK_TEMPLATE": json.dumps(_describe(self._job)), "WEBHOOK_URL": url or False}


def _describe(job: Job[..., Any]) -> dict[str, Any]:
    """Return the hash that RQ's `Queue.create_job` would save, less what is a job's own or its parent's."""
    retry = Retry(job.retry.retries) if job.retry.retries else None
    queue = offline_queue(job.queue.name)
    built = queue.create_job(job.path, timeout=job.timeout_seconds, description=job.type, retry=retry)
    fields = [str(part) for pair in built.to_dict().items() if pair[0] not in OWN for part in pair]
    if job.retry.policy:
        fields += ["errand_backoff", job.retry.policy]
    if job.retry.retries and not job.retry.ceilings_seconds:  # too many to list: the script draws none
        fields += ["retry_intervals", json.dumps(job.retry.draw_seconds())]
    described = {"queue": job.queue.name, "type": job.type, "path": job.path, "parameter": job.payload.whole}
    return {**described, "fields": fields, "ceilings": job.retry.ceilings_seconds}
