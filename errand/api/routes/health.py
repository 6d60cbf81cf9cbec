"""Liveness and readiness."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response

from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS
from errand.api.state import get_road
from errand.redis.memory import FullRedisError
from errand.redis.server import EvictingServerError, check_server

router = APIRouter(tags=["health"], responses=PROBLEMS)


@router.get("/livez", summary="Is the process alive?")
async def livez() -> dict[str, str]:
    """Answer without asking Redis."""
    return {"status": "ok"}


@router.get("/readyz", summary="Can jobs be taken?")
async def readyz(request: Request, response: Response) -> dict[str, Any]:
    """Ask Redis, try a write, and return whether what is acknowledged would survive a power cut.

    `null`: the server does not say. `clock` is there where this host's is off. `degraded`: jobs are taken, and those of
    the types in `held` wait because what they work with is down.
    """
    road = get_road(request)
    async with redis_deadline("Redis can't be reached"):
        try:
            found = await check_server(road.redis, road.clock)
        except EvictingServerError as error:
            response.status_code = 503
            return {"status": "refused", "redis": {"detail": str(error)}}
        redis = {"survives_power_cut": found.survives_power_cut, "detail": found.reason}
        try:
            await road.enqueuer.memory.check()
        except FullRedisError as error:
            response.status_code = 503
            return {"status": "full", "redis": {**redis, "detail": str(error)}}
        await road.probe.check()
        held = [asdict(one) for one in await road.held.read()]
    clock = {"offset_seconds": round(road.clock.offset_seconds, 1), "detail": road.clock.complaint}
    answer = {"status": "degraded" if held else "ok", "redis": redis}
    return answer | ({"clock": clock} if road.clock.complaint else {}) | ({"held": held} if held else {})
