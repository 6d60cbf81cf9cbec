"""What /docs shows."""

import pytest
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from errand.api.http.auth import make_key
from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from tests.support.connectors import create_app
from tests.support.job_types import TYPES


@pytest.fixture
def document(client: TestClient) -> dict:
    return client.get("/openapi.json").json()


@pytest.mark.parametrize("type", TYPES)
def test_each_type_is_an_operation_with_its_schema_and_an_example_that_runs(
    client: TestClient, document: dict, type: str
) -> None:
    operation = document["paths"][f"/v1/jobs/{type}"]["post"]
    body = operation["requestBody"]["content"]["application/json"]
    assert operation["operationId"] == f"enqueue_{type}"
    assert operation["summary"]
    assert document["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]["additionalProperties"] is False
    assert client.post(f"/v1/jobs/{type}", json=body["example"]).status_code == 202


def test_every_reference_leads_somewhere(document: dict) -> None:
    def walk(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [found for child in node.values() for found in walk(child)]
        return [found for child in node for found in walk(child)] if isinstance(node, list) else []

    for reference in walk(document):
        assert reference.rpartition("/")[2] in document["components"]["schemas"], reference


def test_errors_are_described_as_problems(document: dict) -> None:
    responses = document["paths"]["/v1/jobs/log"]["post"]["responses"]
    assert set(responses) == {"200", "202", "default"}
    assert "application/problem+json" in responses["default"]["content"]


def test_every_operation_has_an_id_of_its_own(document: dict) -> None:
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("type", TYPES)
def test_an_answer_is_what_the_document_says(client: TestClient, type: str) -> None:
    from errand.api.views import BatchView, JobView, NewBatchView

    job = client.post(f"/v1/jobs/{type}", json=TYPES[type].example).json()
    TypeAdapter(JobView).validate_python(job, extra="forbid")
    batch = client.post(f"/v1/batches/{type}", json={"items": [TYPES[type].example]}).json()
    TypeAdapter(NewBatchView).validate_python(batch, extra="forbid")
    TypeAdapter(BatchView).validate_python(client.get(batch["links"]["self"]).json(), extra="forbid")


def test_docs_ask_for_a_key_where_there_are_keys(queue_settings: QueueSettings, document: dict) -> None:
    assert "security" not in document["paths"]["/v1/jobs/log"]["post"]
    app = create_app(ApiSettings(API_KEYS=make_key("ops")[1]), queue_settings, TYPES)
    assert app.openapi()["paths"]["/v1/jobs/log"]["post"]["security"]
