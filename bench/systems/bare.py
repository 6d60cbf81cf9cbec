# /// script
# dependencies = ["fastapi", "uvicorn", "uvloop", "httptools", "email-validator", "jinja2"]
# ///
"""No queue at all: FastAPI validates and answers, what the HTTP rows are held against."""

from typing import Any
from uuid import uuid4

from fastapi import FastAPI

from bench.answer import FINISHED, POSTED
from errand.mail.message import Message

SETTINGS = "FastAPI under uvicorn, uvloop and httptools; Errand's model of an e-mail; answers as long as Errand's"


def build_app() -> FastAPI:
    """Return the application."""
    app = FastAPI()

    @app.post("/email", status_code=202)
    async def post_email(message: Message) -> dict[str, Any]:  # the fastest form: pydantic writes the JSON
        return {**POSTED, "id": str(uuid4())}

    @app.get("/job/{id}")
    async def read_job(id: str) -> dict[str, Any]:
        return {**FINISHED, "id": id}

    return app
