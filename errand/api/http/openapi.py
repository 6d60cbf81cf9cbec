"""The OpenAPI document: the payload models in their place, and problems where errors are."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from errand.api.http.problems import MEDIA_TYPE, ProblemBody

_REF = "#/components/schemas/{model}"

Bodies = dict[str, type[BaseModel]]  # by operationId

PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem (RFC 9457)",
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model=ProblemBody.__name__)}}},
    }
}


def describe_body(example: dict[str, Any] | None) -> dict[str, Any]:
    """Return an operation's request body; its schema comes with `build_document`."""
    content = {} if example is None else {"example": example}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def build_document(app: FastAPI, bodies: Bodies) -> dict[str, Any]:
    """Return the document; made at the first request for it."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        models = [(model, "validation") for model in (*bodies.values(), ProblemBody)]
        references, definitions = models_json_schema(models, ref_template=_REF)  # type: ignore[arg-type]
        for path in document["paths"].values():
            for operation in path.values():
                operation.get("responses", {}).pop("422", None)  # FastAPI's own, which this API does not answer with
                if model := bodies.get(operation["operationId"]):
                    body = operation["requestBody"]["content"]["application/json"]
                    body["schema"] = references[model, "validation"]
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(definitions["$defs"])
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        app.openapi_schema = document
    return app.openapi_schema
