"""The log job in real workers: Errand's, and a plain one."""

import json
from pathlib import Path
from typing import Any

from tests.support.services import Services
from tests.support.waiting import wait_until

LINES = {"lines": [{"text": "one"}, {"text": "two", "level": "warn"}]}


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def check_lines(path: Path, job: dict[str, Any]) -> None:
    """Both lines are there, with the time at which the API took their job."""
    lines = read_lines(path)
    assert [(line["text"], line["level"], line["job"]) for line in lines] == [
        ("one", "info", job["id"]),
        ("two", "warning", job["id"]),
    ]
    assert {line["time"] for line in lines} == {job["created_at"].replace("Z", "+00:00")}


def test_lines_wait_for_their_file_without_a_try_spent_and_keep_their_time(services: Services, tmp_path: Path) -> None:
    folder = tmp_path / "later"
    services.environment["LOG_URL"] = f"file:{folder}/log.jsonl"
    services.start_api()
    services.start_worker()
    id = services.post("log", LINES)
    wait_until(lambda: "waiting" in services.read(id))
    reason = f"the log file {folder}/log.jsonl can't be written: No such file or directory"
    assert services.read(id)["waiting"]["reason"] == reason
    folder.mkdir()
    job = services.wait_for(id)
    assert (job["status"], job["attempts"], job["retries_left"]) == ("finished", 1, 99)
    check_lines(folder / "log.jsonl", job)


def test_a_plain_worker_writes_the_same_lines(services: Services, tmp_path: Path) -> None:
    services.environment["LOG_URL"] = f"file:{tmp_path}/log.jsonl"
    services.start_api()
    id = services.post("log", LINES)
    services.start_plain_worker()
    job = services.wait_for(id)
    assert job["status"] == "finished"
    check_lines(tmp_path / "log.jsonl", job)
