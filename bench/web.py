"""The endpoint before each peer's queue, the same for all: `uvicorn --factory bench.web:build_app`.

It takes the e-mail of Errand's own job, enqueues it by the system's client, and answers 202 with an id. A client that
blocks is called in the event loop, and from a `def` endpoint under a path of its own.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Annotated, Any
from uuid import uuid4

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, create_model

from errand.mail.message import Message

ITEM_LIMIT = 1000  # as Errand's batches have


def build_app() -> FastAPI:
    """Return the application of the system that BENCH_SYSTEM names, over the Redis of REDIS_URL."""
    system = import_module(f"bench.systems.{os.environ['BENCH_SYSTEM']}")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.client = await system.connect(os.environ["REDIS_URL"])
        yield
        await app.state.client.aclose()

    app = FastAPI(lifespan=lifespan)
    _add_routes(app)
    return app


def _add_routes(app: FastAPI) -> None:
    items: Any = Annotated[list[Message], Field(min_length=1, max_length=ITEM_LIMIT)]
    batch_model: Any = create_model("Batch", __config__=ConfigDict(extra="forbid"), items=(items, ...))

    @app.post("/email", status_code=202)
    async def post_email(message: Message) -> dict[str, Any]:
        await app.state.client.enqueue("email", _dump(message))
        return {"id": str(uuid4())}

    @app.post("/email-in-thread", status_code=202)
    def post_email_in_thread(message: Message) -> dict[str, Any]:
        app.state.client.enqueue_now("email", _dump(message))
        return {"id": str(uuid4())}

    @app.post("/emails", status_code=202)
    async def post_emails(batch: batch_model) -> dict[str, Any]:
        await app.state.client.enqueue_many("email", [(_dump(message),) for message in batch.items])
        return {"id": str(uuid4()), "total": len(batch.items)}


def _dump(message: BaseModel) -> dict[str, Any]:
    return message.model_dump(mode="json", exclude_unset=True)
