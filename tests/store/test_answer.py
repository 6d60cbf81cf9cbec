"""Which script stores jobs, and what its answers mean."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from errand.store.answer import AFTER, LARGE, PLAIN, UNIQUE, UniqueJobError, choose_script, read_answer
from errand.store.bodies import BodiesGoneError
from errand.store.idempotency import IdempotencyRecord, StoredBeforeError, read_record
from errand.store.new_job import NewJob, TooManyDependentsError, TooManyLinksError, UnknownParentError
from tests.support.job_types import LOG

ID, OTHER = "5f0c7d1e-0000-4000-8000-000000000000", "bcdefa92-2fcf-4655-b44f-7846d446f290"


def new_job(**options: Any) -> NewJob:
    return NewJob(LOG, {"text": "x"}, **options)


FIRST = new_job(id=ID)
OWN_CHILD, OTHERS_CHILD, OF_BOTH = (new_job(after=after) for after in ((ID,), (OTHER,), (ID, OTHER)))


@pytest.mark.parametrize(
    ("jobs", "holder", "script"),
    [
        ([FIRST], None, PLAIN),
        ([FIRST], "holder", LARGE),
        ([FIRST, OWN_CHILD], None, PLAIN),
        ([FIRST, OWN_CHILD], "holder", LARGE),
        ([OTHERS_CHILD], None, AFTER),
        ([OTHERS_CHILD], "holder", AFTER),
        ([FIRST, OF_BOTH], None, AFTER),
        ([FIRST, OTHERS_CHILD], None, AFTER),
        ([new_job(unique=("k", False))], None, UNIQUE),
        ([new_job(unique=("k", True), after=(OTHER,))], "holder", UNIQUE),
    ],
)
def test_a_script_is_chosen_by_what_jobs_wait_for_and_hold(jobs: list[NewJob], holder: str | None, script: str) -> None:
    assert choose_script(jobs, holder) == script


def test_statuses_are_shown_in_the_order_of_the_jobs() -> None:
    assert read_answer(b"queued scheduled", [FIRST, FIRST], ID) == ["queued", "scheduled"]


@pytest.mark.parametrize(
    ("number", "error", "kind"),
    [
        (-1, UnknownParentError, None),
        (-3, TooManyDependentsError, "job"),
        (-4, BodiesGoneError, None),
        (-7, TooManyLinksError, None),
        (-8, TooManyDependentsError, "batch"),
    ],
)
def test_a_refusal_is_raised_with_what_it_is_about(number: int, error: type[Exception], kind: str | None) -> None:
    with pytest.raises(error, match=OTHER) as raised:
        read_answer([number, OTHER.encode()], [FIRST], ID)
    assert getattr(raised.value, "kind", None) == kind


@pytest.mark.parametrize(("number", "taken"), [(-5, "existing"), (-6, "replaced")])
def test_a_job_under_the_same_unique_key_is_shown_with_its_status(number: int, taken: str) -> None:
    with pytest.raises(UniqueJobError, match=f"job {OTHER} waits or runs under this unique key .{taken}") as raised:
        read_answer([number, OTHER.encode(), b"started"], [FIRST], ID)
    assert (raised.value.id, raised.value.status, raised.value.taken) == (OTHER, "started", taken)


@pytest.mark.parametrize(("status", "statuses"), [("queued", ["queued"] * 2), ("queued failed", ["queued", "failed"])])
def test_what_the_same_call_stored_before_is_answered_again_and_what_another_did_is_raised(
    status: str, statuses: list[str]
) -> None:
    kept = {"id": ID, "created_at": "2030-01-01T00:00:00Z", "due": None, "fingerprint": "f", "status": status}
    answer = [-2, json.dumps(kept).encode()]
    assert read_answer(answer, [FIRST, FIRST], ID) == statuses
    with pytest.raises(StoredBeforeError, match=f"{ID} was stored first") as raised:
        read_answer(answer, [FIRST, FIRST], OTHER)
    assert (raised.value.stored.id, raised.value.stored.unique) == (ID, None)


@pytest.mark.parametrize(("due", "run_at"), [(None, None), (1893456000, datetime(2030, 1, 1, tzinfo=UTC))])
def test_a_record_says_when_its_job_is_due_and_whether_its_id_is_anothers(
    due: int | None, run_at: datetime | None
) -> None:
    kept = {"id": ID, "created_at": "2029-01-01T00:00:00Z", "due": due, "fingerprint": "f", "status": "queued"}
    found = read_record(json.dumps(kept | {"unique": "existing"}).encode())
    assert found == IdempotencyRecord(ID, datetime(2029, 1, 1, tzinfo=UTC), run_at, "queued", "f", "existing")
