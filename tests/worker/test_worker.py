"""Errand's worker as a real `rq worker` process."""

from tests.services import Services


def test_a_posted_job_runs_and_its_result_is_in_its_status(services: Services) -> None:
    services.start_api()
    services.start_worker()
    job = services.wait_for(services.post("echo", {"value": {"a": [1, None, "ü"]}}))
    assert (job["status"], job["result"]) == ("finished", {"a": [1, None, "ü"]})
