"""The id of the running job, where there is one."""

from tests.support.job_fixtures import Perform

COPIED = ("here", "in a task", "to_thread", "copied", "copied by hand")
NOT_COPIED = ("run_in_executor", "a pool", "a thread")


def test_it_is_the_jobs_own_where_its_context_is_and_an_error_with_the_fix_elsewhere(perform: Perform) -> None:
    job = perform("aside", {})
    answers = job.return_value()
    assert {how: answers[how] for how in COPIED} == dict.fromkeys(COPIED, job.id)
    assert {*COPIED, *NOT_COPIED} == set(answers)
    for how in NOT_COPIED:
        assert answers[how].startswith("OutsideJobError: job_id() found no job here; "), how
        assert "contextvars.copy_context().run" in answers[how]
