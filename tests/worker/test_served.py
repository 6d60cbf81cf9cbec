"""What a worker serves."""

import pytest
from redis import Redis

from errand.worker.worker import ErrandWorker


def test_a_setting_that_is_wrong_ends_the_process_with_the_job_that_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRETS", "bad")
    with pytest.raises(SystemExit, match=r"WEBHOOK_SECRETS is wrong \(jobs/webhook.py\)"):
        ErrandWorker(["webhook"], connection=Redis(port=1))
