"""The id of the running job, where there is one."""

from contextvars import Context

import pytest

from errand import job_id, recording
from tests.performing import Perform

COPIED = ("here", "in a task", "to_thread", "copied", "copied by hand")
NOT_COPIED = ("run_in_executor", "a pool", "a thread")


def test_it_is_the_jobs_own_where_its_context_is_and_an_error_with_the_fix_elsewhere(perform: Perform) -> None:
    job = perform("aside", {})
    answers = job.return_value()
    assert {how: answers[how] for how in COPIED} == dict.fromkeys(COPIED, job.id)
    assert {*COPIED, *NOT_COPIED} == set(answers)
    for how in NOT_COPIED:
        assert answers[how].startswith("OutsideJobError: job_id() was called outside a job; "), how
        assert "contextvars.copy_context().run" in answers[how]


def test_outside_a_job_it_is_an_error_that_names_recording() -> None:
    with pytest.raises(RuntimeError, match=r"in a test, call it inside errand\.recording\(\)"):
        Context().run(job_id)


def test_a_recording_has_one_id_and_the_next_one_another() -> None:
    with recording():
        first, again = job_id(), job_id()
        with recording():
            inner = job_id()
        assert job_id() == first
    assert first == again != inner
    assert len(first) == 36
