"""200 MB in Redis where a kilobyte is usual, as somebody may put there by hand: no process of ours unpacks them."""

import json
import zlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from errand.redis import keys
from tests.support.services import Process, Services

MB = 2**20
LARGE = 200 * MB
ROOM_MB = 100  # beside what a process has when it is idle; one that unpacked them would have twice as much at least


def measure_mb(process: Process) -> float:
    """Return the most memory that any process of a session has had."""
    peaks = []
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in path.read_text().splitlines())
            if int(Path(path.parent / "stat").read_text().rpartition(")")[2].split()[3]) == process.pid:
                peaks.append(int(fields["VmHWM"].split()[0]) / 1024)
        except (OSError, KeyError):
            continue
    return max(peaks)


def pack(text: bytes) -> bytes:
    return zlib.compress(text, 1)


@pytest.fixture
def roomy(redis: Redis) -> Iterator[Redis]:
    """The server, without a limit of its memory."""
    limit = redis.config_get("maxmemory")
    redis.config_set("maxmemory", 0)
    yield redis
    redis.flushall()
    redis.config_set("maxmemory", limit["maxmemory"])


@pytest.mark.thorough
def test_neither_worker_nor_api_needs_memory_for_it(services: Services, roomy: Redis) -> None:
    redis = roomy
    services.start_api()
    worker, api = services.start_worker(), services.processes[0]
    services.wait_for(services.post("echo", {"value": 1}))
    before = {process: measure_mb(process) for process in (api, worker)}
    ids = [services.post("echo", {"value": 2}, "?delay_seconds=3600") for _ in range(4)]
    packed, plain, failed, finished = ids
    redis.hset(keys.JOB + packed, "data", pack(b'["jobs.echo.run.perform",null,[],{"value":"' + b"a" * LARGE + b'"}]'))
    redis.hset(keys.JOB + plain, "data", b"{" * LARGE)
    for id in (packed, plain):
        redis.zrem(f"{keys.SCHEDULED}default", id)
        redis.hset(keys.JOB + id, "status", "queued")
        redis.rpush(f"{keys.QUEUE}default", id)
    for id, status, field, value in (
        (failed, "failed", "exc_string", b64encode(pack(b"a" * LARGE))),
        (finished, "finished", "return_value", b64encode(json.dumps("a" * LARGE).encode())),
    ):
        redis.hset(keys.JOB + id, "status", status)
        redis.xadd(keys.RESULTS + id, {"type": "1", "created_at": "2026-12-24T18:00:00Z", field: value})
    redis.rpush(keys.LOGS + finished, json.dumps({"n": 1, "text": "a" * LARGE}))
    for id in (packed, plain):
        error = services.wait_for(id)["error"]
        assert error["type"] == "DamagedJob"
        assert "its payload" in error["message"]
    services.wait_for(services.post("echo", {"value": 3}))
    for id in ids:
        for more in ("", "/attempts", "/logs", "/why"):
            assert services.call("GET", f"/v1/jobs/{id}{more}").status == 200, services.read_log(api)[-1500:]
        assert services.call("GET", f"/dashboard/0/data/job/{id}.json").status == 200
        assert services.call("GET", "/v1/jobs").status == 200
    assert services.call("POST", f"/v1/jobs/{packed}/requeue").status == 202
    assert services.wait_for(packed)["error"]["type"] == "DamagedJob"
    for process, mb in before.items():
        assert measure_mb(process) < mb + ROOM_MB, services.read_log(process)[-2000:]
    print({process.pid: (mb, measure_mb(process)) for process, mb in before.items()})
