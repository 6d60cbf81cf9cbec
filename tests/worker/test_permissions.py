"""The user that docs/operations.md describes may do all that Errand and plain RQ do, and no more than that."""

import sys
import urllib.request
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from tests.support.servers import LimitedValkey
from tests.support.services import Services
from tests.support.waiting import wait_until

PAGES = (
    *("/readyz", "/metrics", "/v1/stats", "/v1/jobs?fields=payload", "/v1/jobs?tag=a", "/v1/queues", "/v1/workers"),
    *("/v1/dead-letters", "/v1/dead-letters/groups", "/v1/schedules", "/v1/schedules/often", "/dashboard/"),
    *(
        "/dashboard/0/data/queues.json",
        "/dashboard/0/data/workers.json",
        "/dashboard/0/view/jobs/default/queued/8/asc/1",
    ),
    "/dashboard/0/data/jobs/default/finished/8/dsc/1.json",
)


def post(services: Services, path: str) -> None:
    answer = services.call("POST", path)
    assert answer.status < 300, (path, answer)


@pytest.mark.quick
def test_all_that_errand_does_is_allowed(
    services: Services, valkey: LimitedValkey, redis: Redis, tmp_path: Path
) -> None:
    services.start_api()
    services.start_worker()
    assert services.call("GET", "/readyz").body["redis"]["survives_power_cut"] is None  # of all that, CONFIG is denied
    services.call("PUT", "/v1/schedules/often", {"type": "echo", "payload": {}, "every_seconds": 1})
    one = services.post("echo", {"value": 1}, "?tag=a&concurrency_key=k&concurrency=1")
    retried = services.post(
        "fail", {"ledger": f"{tmp_path}/ledger", "succeed_at": 2}, f"?after={one}&expires_in_seconds=900"
    )
    canceled = services.post("measure", {"text": "x" * 100_000}, "?delay_seconds=900")
    for change in ("cancel", "requeue"):
        post(services, f"/v1/jobs/{canceled}/{change}")
    batch = services.call("POST", "/v1/batches/echo", {"items": [{"value": 1}, {"value": 2}]}).body["links"]["self"]
    assert services.wait_for(retried)["attempts"] == 2
    assert services.wait_for(canceled)["status"] == "finished"
    assert services.call("GET", batch).body["percent"] == 100
    wait_until(lambda: redis.exists("errand:schedule:often:runs"))  # the chores run
    for change in ("pause", "resume", "requeue"):
        post(services, f"/v1/queues/default/{change}")
    for page in (*PAGES, *(f"/v1/jobs/{retried}/{part}" for part in ("why", "attempts", "logs", "events"))):
        assert urllib.request.urlopen(services.base_url + page, timeout=10).status == 200  # else it raises
    assert services.call("DELETE", f"/v1/jobs/{one}").status == 204
    info = services.run(sys.executable, "-m", "rq.cli", "info", "--url", valkey.user_url)
    assert info.wait(20) == 0, services.read_log(info)
    valkey.assert_nothing_was_denied()


def test_a_key_outside_is_denied_and_fails_the_test(valkey: LimitedValkey, redis: Redis) -> None:
    with Redis.from_url(valkey.user_url) as limited, pytest.raises(NoPermissionError):
        limited.set("-", 1)
    with pytest.raises(AssertionError, match="'key', 'toplevel', '-'"):
        valkey.assert_nothing_was_denied()
