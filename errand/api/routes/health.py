"""Liveness and readiness."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response

from errand.api.http.auth import is_known
from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS
from errand.api.store import Store, get_store
from errand.api.views import read_age
from errand.redis.memory import FullRedisError
from errand.redis.server import Durability, EvictingServerError, check_server
from errand.store.observe.health import Health

router = APIRouter(tags=["health"], responses=PROBLEMS)

NEARLY_FULL = 0.7  # of maxmemory; from 0.8 on nothing is taken
UNSERVED_SECONDS = 60.0  # an occurrence so late has no worker that takes it; workers log it from then on too
HIDDEN_REASON = "what it works with is down; send a key to read why"  # it may name hosts


@router.get("/livez", summary="Is the process alive?")
async def livez() -> dict[str, str]:
    """Answer without asking Redis."""
    return {"status": "ok"}


@router.get("/readyz", summary="Can jobs be taken?")
async def readyz(request: Request, response: Response) -> dict[str, Any]:
    """Ask Redis, try a write, and return whether what is acknowledged would survive a power cut.

    `null`: the server does not say. `clock` is there where this host's is off. `degraded`: jobs are taken, and some
    wait for more than their turn; `parts` shows which part of the service that is. Of the types in `held` the reason is
    shown to callers with a key, and in `parts.keys` which keys have a value of a wrong type, and what to do.
    """
    store = get_store(request)
    async with redis_deadline("Redis can't be reached"):
        try:
            found = await check_server(store.server.redis, store.clock)
        except EvictingServerError as error:
            response.status_code = 503
            return {"status": "refused", "redis": {"detail": str(error)}}
        redis = {"survives_power_cut": found.survives_power_cut, "detail": found.reason}
        try:
            await store.enqueuer.memory.check()
        except FullRedisError as error:
            response.status_code = 503
            return {"status": "full", "redis": {**redis, "detail": str(error)}}
        await store.server.probe.check()
        health = await store.observe.health.read()
    clock = {"offset_seconds": round(store.clock.offset_seconds, 1), "detail": store.clock.complaint}
    parts = _list_parts(store, found, health) | {"keys": _show_keys(health, is_known(request))}
    is_degraded = any(part["status"] == "degraded" for part in parts.values())
    answer = {"status": "degraded" if is_degraded else "ok", "redis": redis, "parts": parts}
    held = [asdict(one) if is_known(request) else {**asdict(one), "reason": HIDDEN_REASON} for one in health.held]
    return answer | ({"clock": clock} if store.clock.complaint else {}) | ({"held": held} if held else {})


def _list_parts(store: Store, durability: Durability, health: Health) -> dict[str, dict[str, Any]]:
    """Return each part with its status: ok; warning where no job waits for it; degraded where some do, or soon will."""
    ratio, now = store.enqueuer.memory.ratio, store.clock.now()
    without = bool(health.queues_without or health.types_without)
    oldest = health.oldest
    return {
        "redis": {"status": "ok", "role": "primary"},
        "memory": {
            "status": _judge((ratio or 0) >= NEARLY_FULL),
            "ratio": None if ratio is None else round(ratio, 3),
        },
        "durability": {
            "status": "warning" if durability.survives_power_cut is False else "ok",
            "survives_power_cut": durability.survives_power_cut,
        },
        "clock": {
            "status": "warning" if store.clock.complaint else "ok",
            "offset_seconds": round(store.clock.offset_seconds, 1),
        },
        "workers": {
            "status": _judge(bool(health.stuck), without),
            "live": health.workers,
            "queues_without": health.queues_without,
            "types_without": health.types_without,
            "waiting_without": health.stuck,
        },
        "held": {"status": _judge(bool(health.held)), "types": sorted({one.type for one in health.held})},
        "schedules": {
            "status": _judge(health.late_seconds > UNSERVED_SECONDS),
            "late_seconds": round(health.late_seconds, 1),
        },
        "oldest": {
            "status": "ok",
            "queue": oldest and oldest.queue,
            "since": oldest and oldest.since,
            "seconds": read_age(oldest.since, now) if oldest else None,
        },
    }


def _show_keys(health: Health, has_key: bool) -> dict[str, Any]:
    """Return how many keys have a value of a wrong type, and which: their names may hold tags and types."""
    wrong = [{**asdict(one), "remedy": one.remedy} for one in health.wrong] if has_key else []
    return {"status": _judge(bool(health.wrong)), "count": len(health.wrong), "wrong": wrong}


def _judge(is_degraded: bool, is_warning: bool = False) -> str:
    return "degraded" if is_degraded else "warning" if is_warning else "ok"
