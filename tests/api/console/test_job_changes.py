"""What the buttons on a job's page do."""

from collections.abc import Callable

import pytest
from httpx2 import Response
from redis import Redis
from starlette.testclient import TestClient

from errand.redis import keys
from tests.api.console.conftest import OURS, READ, sign_in
from tests.api.stored import Stored

Post = Callable[..., str]


def press(client: TestClient, id: str, button: str, **fields: str) -> Response:
    return client.post(f"/console/jobs/{id}/{button}", data=fields, headers=OURS)


def read_status(redis: Redis, id: str) -> str | None:
    status = redis.hget(keys.JOB + id, "status")
    return status.decode() if status else None


def test_a_job_that_waits_is_canceled_and_the_log_says_so(
    client: TestClient, redis: Redis, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "errand.api")
    id = post()
    page = press(client, id, "cancel")
    assert (page.url.path, read_status(redis, id)) == (f"/console/jobs/{id}", "canceled")
    assert "The job is canceled." in page.text
    assert f"Console: job {id} canceled, asked for from testclient" in caplog.messages


def test_a_job_that_runs_is_asked_to_stop(client: TestClient, redis: Redis, stored: Stored) -> None:
    job = stored.started()
    assert ">Stop<" in client.get(f"/console/jobs/{job.id}").text
    assert "was asked to stop" in press(client, job.id, "cancel").text
    assert redis.hget(job.key, "errand_stop")


def test_a_failed_job_is_requeued(client: TestClient, redis: Redis, stored: Stored) -> None:
    job = stored.failed()
    assert "is requeued" in press(client, job.id, "requeue").text
    assert read_status(redis, job.id) == "queued"


def test_a_job_is_deleted_and_the_list_says_so(client: TestClient, redis: Redis, stored: Stored) -> None:
    job = stored.finished()
    page = press(client, job.id, "delete")
    assert (page.url.path, redis.exists(job.key)) == ("/console/jobs", 0)
    assert "The job is deleted." in page.text


@pytest.mark.parametrize(
    ("state", "button", "fault"),
    [
        ("finished", "cancel", "It can&#39;t be canceled: its status is finished"),
        ("queued", "requeue", "It can&#39;t be requeued: its status is queued."),
        ("started", "delete", "It can&#39;t be deleted: "),
    ],
)
def test_what_can_t_be_done_any_more_is_said_on_the_job_s_page(
    client: TestClient, stored: Stored, state: str, button: str, fault: str
) -> None:
    id = stored.put_in(state).id
    page = press(client, id, button)
    assert (page.status_code, fault in page.text, f'id="job-id">{id}' in page.text) == (409, True, True)


@pytest.mark.parametrize("button", ["cancel", "requeue", "delete"])
@pytest.mark.parametrize("id", ["none", "00000000-0000-4000-8000-000000000000"])
def test_a_job_that_is_not_there_is_a_404(client: TestClient, button: str, id: str) -> None:
    assert press(client, id, button).status_code == 404


@pytest.mark.parametrize(
    ("state", "buttons"),
    [
        ("queued", {"cancel", "delete"}),
        ("started", {"cancel"}),
        ("failed", {"requeue", "delete"}),
        ("canceled", {"requeue", "delete"}),
        ("finished", {"delete"}),
    ],
)
def test_a_job_has_the_buttons_that_make_sense(
    client: TestClient, stored: Stored, state: str, buttons: set[str]
) -> None:
    id = stored.put_in(state).id
    text = client.get(f"/console/jobs/{id}").text
    assert {name for name in ("cancel", "requeue", "delete") if f"/console/jobs/{id}/{name}" in text} == buttons


def test_who_may_only_look_has_none_of_them(guarded: TestClient, stored: Stored) -> None:
    sign_in(guarded, READ)
    assert "<form" not in guarded.get(f"/console/jobs/{stored.failed().id}").text.partition("<main")[2]
