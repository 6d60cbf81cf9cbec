"""What is said of what holds up a job, judge by judge."""

import json
from typing import Any

import pytest

from errand.store.observe.rate import Expected, expect_start
from errand.store.observe.verdicts import JUDGES, Facts, LinkedBatch, Verdict
from errand.store.status import JobError, LinkedJob

NOW = 1893456030.0  # 2030-01-01T00:00:30Z
SINCE = "2030-01-01T00:00:00Z"
FREE = {"live": 3, "serving": 2, "able": 2, "free": 1}
BUSY = FREE | {"free": 0}
FOUND: dict[str, Any] = {
    "ids": [],
    "batches": [],
    "due": None,
    "limit": None,
    "suspended": False,
    "paused": False,
    "workers": FREE,
    "hold": None,
    "park": None,
    "rate_due_us": None,
    "place": {"before": 0},
    "ends": [],
    "first_at": None,
}
ERROR = json.dumps({"type": "ValueError", "message": "no"})
PARKED = json.dumps({"reason": "r", "since": SINCE})


def judge(found: dict[str, Any] | None = None, interval_seconds: float | None = None, **job: str) -> Verdict:
    """What the first judge says that says something."""
    fields = {"status": "queued", "origin": "mail", "description": "email", "enqueued_at": SINCE} | job
    facts = Facts(fields, FOUND | (found or {}), NOW, interval_seconds)
    return next(verdict for each in JUDGES if (verdict := each(facts)))


def test_a_deferred_job_names_the_jobs_it_waits_for() -> None:
    ids = [["a", "queued"], ["b", "finished"], ["c", ""], ["d", "failed"], ["e", "queued"], ["f", "queued"]]
    left = [LinkedJob(id, status or None) for id, status in ids if status != "finished"]
    assert judge({"ids": ids}, status="deferred") == Verdict(
        "waits_for_jobs", "it waits for a (queued), c (gone), d (failed) and 2 more", jobs=left
    )
    three = judge({"ids": ids[:4]}, status="deferred")
    assert three.reason == "it waits for a (queued), c (gone), d (failed)"


def test_a_deferred_job_names_the_batches_it_waits_for() -> None:
    found = {"batches": [["x", 2000, 1000]], "ids": [["a", "queued"]]}
    said = "it waits for batch x (1,000 of 2,000 jobs have ended)"
    batches = [LinkedBatch("x", 2000, 1000)]
    both = judge(found, status="deferred")
    assert (both.reason, both.batches) == (f"{said} and a (queued)", batches)
    alone = judge(found | {"ids": [["a", "finished"]]}, status="deferred")
    assert (alone.reason, alone.jobs, alone.batches) == (said, [], batches)
    nothing = judge({"ids": None, "batches": None}, status="deferred")
    assert (nothing.reason, nothing.jobs, nothing.batches) == ("it waits for none that is known", [], None)


def test_a_job_that_is_due_later_waits_for_its_time() -> None:
    until = "2030-01-01T00:01:00.500Z"
    assert judge({"due": f"{NOW + 30.5}"}, status="scheduled") == Verdict(
        "waits_for_time", f"it is to run at {until}", until=until
    )
    assert judge({"due": f"{NOW}"}, status="scheduled").word == "starting"
    assert judge({"due": None}, status="scheduled").word == "starting"
    assert judge({"due": f"{NOW + 30}"}).word == "starting"


@pytest.mark.parametrize(
    ("job", "word"),
    [
        ({"errand_error": ERROR, "errand_attempts": "2"}, "waits_for_retry"),
        ({"errand_error": ERROR, "errand_attempts": "0"}, "waits_for_time"),
        ({"errand_error": ERROR}, "waits_for_time"),
        ({"errand_attempts": "2"}, "waits_for_time"),
        ({"errand_error": "{", "errand_attempts": "2"}, "waits_for_time"),
        ({"errand_error": "[1]", "errand_attempts": "2"}, "waits_for_time"),
    ],
)
def test_a_job_that_failed_is_tried_again_and_says_why_it_failed(job: dict[str, Any], word: str) -> None:
    found = judge({"due": f"{NOW + 30}"}, status="scheduled", **job)
    assert found.word == word
    if word == "waits_for_retry":
        error = JobError("ValueError", "no")
        until = "2030-01-01T00:01:00.000Z"
        reason = f"it is tried again at {until}; attempt 2 failed with ValueError: no"
        assert found == Verdict(word, reason, until=until, error=error)


@pytest.mark.parametrize(
    ("most", "before", "reason"),
    [
        (1, 0, "lets one job be queued or run at once, now a (started)"),
        (2000, 1, "lets 2,000 jobs be queued or run at once, now a (started), 1 job is before it"),
        (2, 2000, "lets 2 jobs be queued or run at once, now a (started), 2,000 jobs are before it"),
    ],
)
def test_a_limited_job_waits_for_its_key(most: int, before: int, reason: str) -> None:
    found = {"limit": {"concurrency": most, "before": before}, "ids": [["a", "started"]]}
    assert judge(found, status="rate_limited", rate_limit_key="k") == Verdict(
        "waits_for_key", f"its concurrency key 'k' {reason}", before=before, jobs=[LinkedJob("a", "started")]
    )
    assert judge(found, rate_limit_key="k").word == "starting"
    assert judge({"limit": None}, status="rate_limited").word == "starting"


def test_the_causes_come_in_the_order_in_which_they_have_to_go() -> None:
    hold = {"since": SINCE, "reason": "SMTP is down"}
    found = {"suspended": True, "paused": True, "workers": dict.fromkeys(FREE, 0), "hold": hold}
    words = []
    for gone in ({}, {"suspended": False}, {"paused": False}, {"workers": FREE | {"able": 0}}, {"workers": FREE}):
        found |= gone
        words.append(judge(found).word)
    assert words == ["rq_suspended", "queue_paused", "no_worker", "type_unknown", "type_held"]


def test_what_somebody_has_to_end_says_how() -> None:
    said = "RQ is suspended, so no worker takes jobs of any queue; `rq resume` ends that"
    assert judge({"suspended": True}).reason == said
    assert judge({"paused": True}).reason == "the queue mail is paused; `errand queues resume mail` ends that"


@pytest.mark.parametrize(
    ("live", "others"),
    [(0, "; none is running at all"), (1, "; 1 serves others"), (2, "; 2 serve others")],
)
def test_a_queue_without_a_worker_says_whether_there_are_others(live: int, others: str) -> None:
    found = judge({"workers": {"live": live, "serving": 0, "able": 0, "free": 0}})
    assert found == Verdict("no_worker", f"no worker serves the queue mail{others}")


def test_a_job_that_no_worker_can_run_says_whether_its_payload_is_the_reason() -> None:
    found = {"workers": FREE | {"able": 0}}
    unknown = Verdict("type_unknown", "no worker of the queue mail knows the type email", since=SINCE)
    assert judge(found, errand_parked=PARKED) == unknown
    refused = judge(found, errand_parked=PARKED, errand_refused="1", errand_error=ERROR)
    said = "its payload does not fit the code that the workers have of the type email"
    assert refused == Verdict("payload_refused", said, since=SINCE, error=JobError("ValueError", "no"))
    assert [judge(found, errand_parked=damaged).since for damaged in ("", "{", "[1]")] == [None] * 3


@pytest.mark.parametrize(
    ("more", "said", "until"),
    [
        ({}, "", None),
        ({"probe_at_ms": (NOW + 10) * 1000}, "", "2030-01-01T00:00:40.000Z"),
        ({"probe_at_ms": (NOW + 10) * 1000, "probing": True}, "; one of its jobs is run just now to see", None),
    ],
)
def test_a_held_type_says_since_when_and_until_when(more: dict[str, Any], said: str, until: str | None) -> None:
    found = judge({"hold": {"since": SINCE, "reason": "SMTP is down"} | more})
    reason = f"the type email is held since {SINCE}: SMTP is down{said}"
    assert found == Verdict("type_held", reason, since=SINCE, until=until)


@pytest.mark.parametrize(
    ("due_us", "interval", "before", "until"),
    [
        ((NOW + 5) * 1_000_000, 2.0, 3, "2030-01-01T00:00:41.000Z"),
        ((NOW - 5) * 1_000_000, 2.0, 1, "2030-01-01T00:00:32.000Z"),
        (None, 2.0, 0, "2030-01-01T00:00:30.000Z"),
        (None, None, 0, None),
    ],
)
def test_a_rate_lets_a_job_start_after_those_before_it(
    due_us: float | None, interval: float | None, before: int, until: str | None
) -> None:
    park = {"kind": "rated", "before": before}
    found = judge({"park": park, "rate_due_us": due_us}, interval)
    more = {0: "", 1: ", 1 job is before it", 3: ", 3 jobs are before it"}[before]
    said = f"the rate of the type email lets it start {f'at {until}' if until else 'later'}{more}"
    assert found == Verdict("rate", said, until=until, before=before, exact=True)


def test_a_job_that_is_parked_for_another_reason_waits_for_its_turn() -> None:
    found = judge({"park": {"kind": "held", "before": 4}, "place": {"before": 9}, "workers": BUSY})
    assert (found.word, found.before, found.exact, found.since) == ("workers_busy", 4, True, SINCE)


def test_a_job_that_is_just_being_taken_holds_nobody_up() -> None:
    assert judge(status="scheduled") == Verdict("starting", "it is just being put into its queue", blocks=False)
    assert judge({"place": {"before": False}}) == Verdict(
        "starting", "it is in no list: a worker is just taking it", blocks=False, since=SINCE
    )
    said = "nothing is before it and a worker is free: it is just being taken"
    for exact in (True, False):
        found = judge({"place": {"before": 0, "exact": exact}})
        assert found == Verdict("starting", said, blocks=False, since=SINCE, before=0, exact=exact)


def test_a_job_whose_workers_are_busy_says_how_many_are_before_it_and_when_it_starts() -> None:
    found = judge({"workers": BUSY, "place": {"before": 0}})
    assert found == Verdict("workers_busy", "the workers are busy", blocks=False, since=SINCE, before=0, exact=True)
    found = judge({"place": {"before": 2000, "exact": False}})
    assert (found.reason, found.exact) == ("the workers are busy, about 2,000 jobs are before it", False)
    found = judge({"place": {"before": 29}, "ends": [30, 120], "first_at": "2029-12-31T23:59:00Z"})
    assert found.expected == Expected(20.0, 30.0)
    alone = judge({"place": {"before": 29}, "ends": [30, 120]})
    assert alone.expected == Expected(30.0, 30.0)
    said = "the workers are busy, 29 jobs are before it; at the rate of the last minutes it starts in about 20 s"
    assert found.reason == said


@pytest.mark.parametrize(
    ("before", "span"),
    [(118, "119 s"), (119, "2 min"), (7198, "120 min"), (7199, "2 h"), (35999, "10 h"), (0, "1 s")],
)
def test_how_long_it_takes_is_said_roundly(before: int, span: str) -> None:
    found = judge({"place": {"before": before}, "workers": BUSY, "ends": [30]})
    assert found.reason.endswith(f"it starts in about {span}")


@pytest.mark.parametrize(
    ("before", "ends", "into", "waiting", "expected"),
    [
        (0, [], 30, 60, None),
        (0, [0, 0], 30, 600, None),
        (9, [30], 30, 30, Expected(10.0, 10.0)),
        (9, [30], 9.9, 30, None),
        (9, [10], 10, 10, Expected(10.0, 10.0)),
        (9, [30, 120], 30, 90, Expected(6.7, 10.0)),
        (9, [30, 120], 30, 89, Expected(10.0, 10.0)),
        (9, [30, 120, 600], 30, 90, Expected(6.7, 10.0)),
        (9, [30, 120], 30, 29, Expected(6.7, 10.0)),
        (9, [0, 120, 60], 30, 0, Expected(6.7, 10.0)),
        (9, [30, 120], 30, 30, Expected(10.0, 10.0)),
        (9, [45, 120], 30, 90, Expected(5.7, 6.7)),
        (9, [60 * n for n in range(11, 0, -1)], 60, 660, Expected(1.7, 5.0)),
        (9, [60 * n for n in range(10, 0, -1)], 60, 600, Expected(1.8, 10.0)),
        (9, [0, 60, 0], 60, 180, None),
        (9, [30, 60, 0], 30, 150, Expected(10.0, None)),
    ],
)
def test_a_job_starts_by_what_has_ended_while_jobs_waited(
    before: int, ends: list[int], into: float, waiting: float, expected: Expected | None
) -> None:
    assert expect_start(before, ends, into, waiting) == expected


def test_times_that_can_not_be_read_are_none() -> None:
    found = judge({"place": {"before": 1}, "workers": BUSY, "first_at": "x", "ends": [30]}, enqueued_at="")
    assert found.expected == Expected(2.0, 2.0)
