"""What a job's page shows under «Related»: webhooks above all."""

import json
import re
from collections.abc import Callable

from redis import Redis
from starlette.testclient import TestClient

from errand.redis import keys

Post = Callable[..., str]
URL = "https://hooks.example.com/errand?a=1"


def read_webhooks(client: TestClient, id: str) -> str:
    """What stands under Webhooks, without its markup."""
    found = re.search(r'<ul class="plain" id="webhooks">(.*?)</ul>', client.get(f"/console/jobs/{id}").text, re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).split()) if found else ""


def end_with_webhook(client: TestClient, redis: Redis, post: Post) -> tuple[str, str]:
    """A job that has ended, and the webhook that reports it."""
    id = post("log", "delay_seconds=60")
    redis.hset(keys.JOB + id, "errand_webhook", URL)
    client.post(f"/v1/jobs/{id}/cancel")
    (webhook,) = redis.lrange(keys.QUEUE + "webhook", 0, -1)
    return id, webhook.decode()


def test_a_webhook_that_was_asked_for_is_shown_before_the_end(client: TestClient, redis: Redis, post: Post) -> None:
    id = post("log", "delay_seconds=60")
    assert read_webhooks(client, id) == ""
    redis.hset(keys.JOB + id, "errand_webhook", URL)
    assert read_webhooks(client, id) == f"Asked for: {URL} · sent when it ends"


def test_the_webhook_of_an_end_is_linked_with_its_state(client: TestClient, redis: Redis, post: Post) -> None:
    id, webhook = end_with_webhook(client, redis, post)
    assert f'href="/console/jobs/{webhook}"' in client.get(f"/console/jobs/{id}").text
    assert f"{webhook} on its way" in read_webhooks(client, id)
    redis.lrem(keys.QUEUE + "webhook", 0, webhook)
    error = json.dumps({"type": "WebhookError", "message": "the answer was 503"})
    redis.hset(keys.JOB + webhook, mapping={"status": "scheduled", "errand_attempts": 2, "errand_error": error})
    redis.zadd(keys.SCHEDULED + "webhook", {webhook: 4e9})
    assert re.search(r"failing · 2 tries, the next .* WebhookError: the answer was 503", read_webhooks(client, id))
    redis.hset(keys.JOB + webhook, "status", "failed")
    assert "given up · 2 tries" in read_webhooks(client, id)
    redis.hset(keys.JOB + webhook, "status", "finished")
    assert f"{webhook} delivered" in read_webhooks(client, id)
    redis.delete(keys.JOB + webhook)
    assert read_webhooks(client, id).endswith("· no longer there")


def test_a_webhook_links_the_job_whose_end_it_reports(client: TestClient, redis: Redis, post: Post) -> None:
    id, webhook = end_with_webhook(client, redis, post)
    assert (
        f'Reports the end of job <a class="id" href="/console/jobs/{id}">'
        in client.get(f"/console/jobs/{webhook}").text
    )


def test_a_job_that_ended_again_shows_the_webhook_of_its_last_end(client: TestClient, redis: Redis, post: Post) -> None:
    id, first = end_with_webhook(client, redis, post)
    client.post(f"/v1/jobs/{id}/requeue")
    assert "sent when it ends" in read_webhooks(client, id)
    client.post(f"/v1/jobs/{id}/cancel")
    last = next(one.decode() for one in redis.lrange(keys.QUEUE + "webhook", 0, -1) if one.decode() != first)
    assert last in read_webhooks(client, id)
    assert first not in read_webhooks(client, id)


def test_the_last_job_of_a_batch_links_the_batch_s_webhook(client: TestClient, redis: Redis) -> None:
    posted = client.post("/v1/batches/log?delay_seconds=60", json={"items": [{"text": "a"}, {"text": "b"}]}).json()
    redis.hset(keys.BATCH + posted["id"], "webhook", URL)
    first, last = (job["id"] for job in posted["jobs"])
    for id in (first, last):
        client.post(f"/v1/jobs/{id}/cancel")
    (webhook,) = redis.lrange(keys.QUEUE + "webhook", 0, -1)
    assert webhook.decode() in read_webhooks(client, last)
    assert read_webhooks(client, first) == ""
    assert (
        f'of batch <a class="id" href="/console/batches/{posted["id"]}"'
        in client.get(f"/console/jobs/{webhook.decode()}").text
    )
