"""The names in Redis: RQ's as RQ has them, and nowhere else than in one file."""

import re
from pathlib import Path

import pytest
from rq import Queue, Worker
from rq.command import PUBSUB_CHANNEL_TEMPLATE
from rq.job import Job, JobStatus
from rq.registry import (
    CanceledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)
from rq.results import Result

from errand.redis import keys

ROOT = Path(__file__).parent.parent.parent
LITERAL = re.compile(r"""["'](?:rq|errand):[a-z:]""")


@pytest.mark.parametrize(
    ("ours", "rqs"),
    [
        (f"{keys.JOB}x", Job.key_for("x")),
        (f"{keys.JOB}x{keys.DEPENDENTS}", Job.dependents_key_for("x")),
        (f"{keys.RESULTS}x", Result.get_key("x")),
        (keys.QUEUES, Queue.redis_queues_keys),
        (keys.QUEUE, Queue.redis_queue_namespace_prefix),
        (keys.WORKERS, Worker.redis_workers_keys),
        (keys.WORKER, Worker.redis_worker_namespace_prefix),
        (f"{keys.COMMANDS}x", PUBSUB_CHANNEL_TEMPLATE % "x"),
    ],
)
def test_a_key_is_rqs_own(ours: str, rqs: str) -> None:
    assert ours == rqs


@pytest.mark.parametrize(
    ("ours", "registry"),
    [
        (keys.WIP, StartedJobRegistry),
        (keys.FINISHED, FinishedJobRegistry),
        (keys.FAILED, FailedJobRegistry),
        (keys.CANCELED, CanceledJobRegistry),
        (keys.SCHEDULED, ScheduledJobRegistry),
        (keys.DEFERRED, DeferredJobRegistry),
    ],
)
def test_a_registry_is_rqs_own(ours: str, registry: type) -> None:
    assert f"{ours}x" == vars(registry)["key_template"].format("x")


def test_the_words_are_rqs_own() -> None:
    words = {word.value for word in JobStatus}
    assert {*keys.ENDED, *keys.UNSTARTED, "started"} == words
    assert set(keys.NOT_QUEUED) == words - {"queued"}
    assert set(keys.ENDED_BADLY) == set(keys.ENDED) - {"finished"}


@pytest.mark.parametrize("pattern", ["**/*.py", "**/*.lua"])
def test_a_name_is_written_in_one_place(pattern: str) -> None:
    files = [path for path in (ROOT / "errand").glob(pattern) if path.name != "keys.py"]
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in files
        for line in path.read_text().splitlines()
        if LITERAL.search(line)
    ]
    assert not found
