"""Endpoints beside those of Errand's API; like those they require a key where keys are set."""

from errand.fastapi import Tasks
from fastapi import APIRouter

from jobs import greet

router = APIRouter(tags=["service"])


@router.post("/welcome/{name}")
async def welcome(name: str, tasks: Tasks) -> dict[str, str]:
    """Greet somebody in a worker; the job is on disk before the answer leaves."""
    return {"job": tasks.add_task(greet.run, name)}
