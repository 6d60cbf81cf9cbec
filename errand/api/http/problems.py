"""Every error as an RFC 9457 problem."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from errand.api.http.access_log import name_path
from errand.api.http.methods import allow_methods, read_method
from errand.contract.errors import NotFiniteError

logger = logging.getLogger("errand.api")

MEDIA_TYPE = "application/problem+json"
FAULT_LIMIT = 100  # each item of a batch may have some, mostly alike


class Fault(BaseModel):
    """One thing that is wrong with the input: where, by JSON pointer or by parameter, and what."""

    pointer: str | None = None
    parameter: str | None = None
    detail: str


class ProblemBody(BaseModel):
    """An RFC 9457 problem, as in the answer."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Fault] | None = None


class Problem(HTTPException):
    """Raised to answer with a problem: `name` becomes its stable type, `extra` further members of the body.

    Starlette's HTTPException, so that an application without `add_handlers` answers with status, detail and headers.
    """

    def __init__(
        self, status: int, name: str, detail: str, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(status, detail, headers)
        self.status, self.name, self.extra = status, name, extra

    def render(self) -> JSONResponse:
        """Return the answer."""
        body = {
            "type": f"urn:problem-type:errand:{self.name}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }
        return JSONResponse(body, self.status, self.headers, MEDIA_TYPE)


def refuse_input(errors: Sequence[ErrorDetails | Mapping[str, Any]], in_body: bool) -> Problem:
    """Return the 422 that lists what pydantic found, at most 100 of it."""
    faults = [_locate(error, in_body) for error in errors[:FAULT_LIMIT]]
    more = f" (the first {FAULT_LIMIT} of {len(errors)})" if len(errors) > FAULT_LIMIT else ""
    count = f"{len(errors)} things are" if len(errors) > 1 else "one thing is"
    where, name = ("body", "invalid-body") if in_body else ("request", "invalid-parameter")
    return Problem(422, name, f"{count} wrong with the {where}{more}; see errors", errors=faults)


def _locate(error: Mapping[str, Any], in_body: bool) -> dict[str, str]:
    detail = str(error["msg"]).removeprefix("Value error, ")
    if in_body:
        steps = (str(step).replace("~", "~0").replace("/", "~1") for step in error["loc"])
        return {"pointer": "".join(["#", *(f"/{step}" for step in steps)]), "detail": detail}
    names = [
        step for step in error["loc"] if isinstance(step, str)
    ]  # a repeated parameter's loc ends with its place, a number
    return {"parameter": names[-1], "detail": detail}


def add_handlers(app: FastAPI) -> None:
    """Let every error of `app` leave as a problem."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_parameters)
    app.add_exception_handler(NotFiniteError, _on_not_finite)
    app.add_exception_handler(ClientDisconnect, _on_hang_up)
    app.add_exception_handler(Exception, _on_bug)


def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return error.render()


def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    names = {404: "not-found", 405: "method-not-allowed"}
    method, headers = read_method(request.scope), error.headers
    details = {404: f"There is nothing at {request.url.path}", 405: f"{method} is not possible here"}
    detail = details.get(error.status_code, error.detail)
    if error.status_code == 405:
        headers = allow_methods(request.scope, headers)
    return Problem(error.status_code, names.get(error.status_code, "refused"), detail, headers).render()


def _on_parameters(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return refuse_input(error.errors(), in_body=False).render()


def _on_not_finite(request: Request, error: Exception) -> JSONResponse:
    return refuse_input([{"loc": (), "msg": str(error)}], in_body=True).render()


def _on_hang_up(request: Request, error: Exception) -> JSONResponse:
    return Problem(400, "cut-off", "The body did not arrive whole").render()  # for the log: the client is gone


def _on_bug(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s failed", request.method, name_path(request.scope), exc_info=error)
    return Problem(500, "internal", "This is a fault in Errand; the log has the details").render()
