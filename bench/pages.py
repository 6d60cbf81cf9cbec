"""`python -m bench.pages`: a page of GET /v1/jobs beside one status read, 1,000,000 jobs stored; p50 of each.

Run by itself, with the embedded Valkey as `errand up` starts it, but for `maxmemory` (none) and `appendfsync`
(everysec), which only the storing feels. The jobs are copies, made in the server, of one that Errand stored, a
microsecond apart: of one type, one in a hundred with a tag; 500 have failed, the 999 oldest were canceled (the worst
case: a page looks for them among the newest 1,000). The requests go to one uvicorn process over one kept connection,
and take turns; beside that the same calls to Redis without HTTP.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

from redis import Redis

from bench.api import ApiClient, start_api
from errand.local.valkey import EmbeddedValkey
from errand.redis.connection import connect
from errand.store.index import Filter, JobIndex
from errand.store.status import StatusReader

COUNT = 1_000_000
AT_ONCE = 1000  # copies that one script makes
FAILED = 500  # fewer than a page looks through
ROUNDS = 200  # requests of each kind, for a median
TAG = "one-in-a-hundred"
COPY = """#!lua
local fields = redis.call('HGETALL', KEYS[1])
for number = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local id, score = string.format('%08x-0000-4000-8000-%012x', number, number), string.format('%.0f', ARGV[3] + number)
  redis.call('HSET', 'rq:job:' .. id, unpack(fields))
  redis.call('RPUSH', 'rq:queue:log', id)
  redis.call('ZADD', 'errand:index:log:log', score, id)
  if number % 100 == 0 then redis.call('ZADD', 'errand:tag:' .. ARGV[4], score, id) end
end
"""


def main() -> None:
    """Fill a server, measure, print."""
    with tempfile.TemporaryDirectory(prefix="errand-bench-") as folder:
        server = EmbeddedValkey(Path(folder) / "v")
        server.start()
        try:
            with Redis.from_url(server.url) as redis, start_api(server.url) as web:
                id = fill(redis, ApiClient(web.port))
                api = ApiClient(web.port)  # the first one's connection is closed by now
                report("over HTTP", measure_http(api, id, list_places(api)))
            report("the store alone", asyncio.run(measure_store(server.url, id)))
        finally:
            server.stop()


def fill(redis: Redis, api: ApiClient) -> str:
    """Store the jobs; return the id of one in the middle."""
    redis.config_set("maxmemory", 0)
    redis.config_set("appendfsync", "everysec")
    redis.config_set("auto-aof-rewrite-percentage", 0)
    _, job = api.call(f"/v1/jobs/log?tag={TAG}", b'{"text": "x"}')
    start, copy = int(redis.zscore("errand:index:log:log", job["id"]) or 0), redis.register_script(COPY)
    for first in range(0, COUNT - 1, AT_ONCE):
        copy(keys=[f"rq:job:{job['id']}"], args=[first + 1, min(first + AT_ONCE, COUNT - 1), start, TAG])
    ids = [id.decode() for id in redis.zrange("errand:index:log:log", 0, -1)]
    for id in ids[:: COUNT // FAILED]:
        error = json.dumps({"type": "ValueError", "message": "no"})
        redis.hset(f"rq:job:{id}", mapping={"status": "failed", "ended_at": job["created_at"], "errand_error": error})
        redis.zadd("rq:failed:log", {id: 2_000_000_000})
    for id in ids[1 : 2 * FAILED]:  # more than are sorted, and where they are looked for last
        redis.hset(f"rq:job:{id}", "status", "canceled")
        redis.zadd("rq:canceled:log", {id: 1})
    assert redis.zcard("errand:index:log:log") == COUNT
    return ids[COUNT // 2]


def list_places(api: ApiClient) -> dict[str, str]:
    """Return what is asked for, by what it is called."""
    _, first = api.call("/v1/jobs?limit=100")
    return {
        "20 jobs": "/v1/jobs",
        "20 after a cursor": f"/v1/jobs?cursor={first['next']}",
        "20 before a time": "/v1/jobs?created_before=2100-01-01T00:00:00Z",
        "20 of a type": "/v1/jobs?type=log",
        "20 of a tag": f"/v1/jobs?tag={TAG}",
        "20 queued": "/v1/jobs?status=queued",
        "20 failed, of 500": "/v1/jobs?status=failed",
        "20 finished, of none": "/v1/jobs?status=finished",
        "none canceled, of 999": "/v1/jobs?status=canceled",
        "20 dead letters": "/v1/dead-letters",
        "20 with payloads": "/v1/jobs?fields=payload",
        "groups of 500 failed": "/v1/dead-letters/groups",
        "100 jobs": "/v1/jobs?limit=100",
    }


def measure_http(api: ApiClient, id: str, places: dict[str, str]) -> dict[str, float]:
    """Return the p50 of each request in milliseconds, the status read first; they take turns."""
    paths = {"status read": f"/v1/jobs/{id}", **places}
    seconds: dict[str, list[float]] = {name: [] for name in paths}
    for number in range(ROUNDS + 10):
        for name, path in paths.items():
            spent, _ = api.call(path)
            if number >= 10:  # the first ones warm it up
                seconds[name].append(spent)
    return {name: median(spent) * 1000 for name, spent in seconds.items()}


async def measure_store(url: str, id: str) -> dict[str, float]:
    """Return the same of `StatusReader` and `JobIndex`, without HTTP."""
    async with connect(url) as redis:
        reader, index = StatusReader(redis), JobIndex(redis, ["log"])
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "status read": lambda: reader.read(id),
            "20 jobs": lambda: index.read(Filter(), 20),
            "20 failed, of 500": lambda: index.read(Filter(status="failed"), 20),
            "100 jobs": lambda: index.read(Filter(), 100),
        }
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(ROUNDS):
            for name, call in calls.items():
                began = time.perf_counter()
                await call()
                seconds[name].append(time.perf_counter() - began)
    return {name: median(spent) * 1000 for name, spent in seconds.items()}


def report(title: str, found: dict[str, float]) -> None:
    """Print milliseconds and how many status reads that is."""
    base = found["status read"]
    print(f"{COUNT:,} jobs, {title}")
    for name, milliseconds in found.items():
        print(f"  {name:22} {milliseconds:8.3f} ms {milliseconds / base:6.1f} x")


if __name__ == "__main__":
    main()
