"""What the API and the workers need of webhooks: whether a URL may be one, and what scripts store that end jobs."""

import json
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from rq import Retry

from jobs import Job
from jobs._webhook_address import check_url
from jobs._webhook_settings import HOW, read_webhook_settings
from service.queue.connection import read_script
from service.queue.enqueue import OWN, offline_queue

TYPE = "webhook"
_UNSET = "local WEBHOOK_TEMPLATE, WEBHOOK_URL = false, false"


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

    def complete_script(self, text: str) -> str:
        """Return a script that includes webhook.lua with the webhooks' job and the URL that is told of all ends."""
        assert _UNSET in text
        if self._job is None:
            return text
        # JSON in ASCII, written as a JSON string, is a string of Lua's too.
        template = json.dumps(json.dumps(_describe(self._job)))
        url = json.dumps(self._settings.webhook_url) if self._settings.webhook_url else "false"
        return text.replace(_UNSET, f"local WEBHOOK_TEMPLATE, WEBHOOK_URL = {template}, {url}")


def load_ending_script(redis: Redis, name: str, webhooks: Webhooks | None) -> AsyncScript:
    """Return a script of this folder that ends jobs; without `webhooks` it stores none."""
    text = read_script("dependents.lua") + read_script(name)
    return redis.register_script(webhooks.complete_script(text) if webhooks else text)


def _describe(job: Job[..., Any]) -> dict[str, Any]:
    """Return the hash that RQ's `Queue.create_job` would save, less what is a job's own or its parent's."""
    tries = job.retry.tries
    retry = Retry(tries - 1) if tries > 1 else None
    queue = offline_queue(job.queue)
    built = queue.create_job(job.path, timeout=job.timeout_seconds, description=job.type, retry=retry)
    fields = [str(part) for pair in built.to_dict().items() if pair[0] not in OWN for part in pair]
    described = {"queue": job.queue, "type": job.type, "path": job.path, "parameter": job.payload.whole}
    return {**described, "fields": fields, "ceilings": job.retry.ceilings_seconds}
