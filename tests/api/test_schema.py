"""What the OpenAPI document promises, held against the answers: schemathesis makes the requests."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from redis import Redis
from schemathesis import checks

from errand.api.settings import ApiSettings
from errand.local.valkey import EmbeddedValkey, find_free_port
from errand.store.settings import QueueSettings
from tests.support.connectors import create_app
from tests.support.job_types import WITH_TUTORIAL
from tests.support.waiting import wait_until

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
DOCUMENT = create_app(
    ApiSettings(ERRAND_LOCAL=True), QueueSettings(REDIS_URL="redis://nowhere"), WITH_TUTORIAL
).openapi()
# Streams last as long as their jobs: they have tests of their own.
OPERATIONS = {
    f"{method.upper()} {path}": (path, method.upper())
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
    if not path.endswith("/events")
}


@pytest.fixture(scope="module")
def url(valkey: EmbeddedValkey) -> Iterator[str]:
    """Where the application is served."""
    app = create_app(ApiSettings(ERRAND_LOCAL=True), QueueSettings(REDIS_URL=valkey.url), WITH_TUTORIAL)
    port = find_free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_is_one_that_the_document_names(url: str, redis: Redis, name: str) -> None:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    path, method = OPERATIONS[name]
    seen = []

    @settings(max_examples=25, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(schema[path][method].as_strategy())
    def ask(case: Any) -> None:
        (case.headers or {}).pop("Prefer", None)  # no worker is there to wait for
        answer = case.call(base_url=url)
        case.validate_response(answer, checks=CHECKS)
        seen.append(answer.status_code)

    ask()
    assert seen
