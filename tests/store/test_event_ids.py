"""What is new to a client, whatever it has seen."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errand.store.batch import BatchStatus
from errand.store.status import ENDED, JobError, JobStatus, Progress
from errand.store.watch.event_id import (
    EventId,
    build_batch_event_id,
    build_event_id,
    list_news,
    read_event_id,
    read_place,
    write_place,
)

FRESH = JobStatus(
    id="5f0c7d1e-0000-4000-8000-000000000000",
    type="echo",
    queue="default",
    status="queued",
    progress=Progress(),
    attempts=0,
    interruptions=0,
    losses=0,
    retries_left=2,
    created_at="2026-11-23T10:00:00.000000Z",
    enqueued_at="2026-11-23T10:00:00.000000Z",
    run_at=None,
    started_at=None,
    ended_at=None,
    result=None,
    error=None,
    waiting=None,
    batch=None,
    tags=[],
    depends_on=[],
    dependents=[],
)


def at(second: int) -> str:
    return f"2026-11-23T10:{second // 60:02}:{second % 60:02}.000000Z"


def live(steps: list[str]) -> list[JobStatus]:
    """Return the states of a job that takes these steps, one a second, as far as it can."""
    job = FRESH
    states = [job]
    for second, step in enumerate(steps, 1):
        is_started = job.status == "started"
        if step == "start" and job.status in ("queued", "scheduled"):
            job = replace(job, status="started", started_at=at(second), attempts=job.attempts + 1, progress=Progress())
        elif step == "report" and is_started:
            job = replace(job, progress=Progress(second, None, None, "", at(second)))
        elif step == "retry" and is_started:
            job = replace(job, status="scheduled", error=JobError("ValueError", "x"))
        elif step == "give back" and is_started:
            job = replace(job, status="queued", enqueued_at=at(second))
        elif step in ("finished", "failed") and is_started:
            job = replace(job, status=step, ended_at=at(second))
        elif step == "requeue" and job.status == "failed":
            job = replace(job, status="queued", enqueued_at=at(second), started_at=None, ended_at=None)
            job = replace(job, progress=Progress())
        else:
            continue
        states.append(job)
    return states


STEPS = st.lists(
    st.sampled_from(["start", "report", "retry", "give back", "finished", "failed", "requeue"]), max_size=20
)


@given(STEPS, st.data())
def test_a_client_that_looks_now_and_then_misses_nothing_that_the_record_proves(
    steps: list[str], data: st.DataObject
) -> None:
    states = live(steps)
    looks = [*sorted(data.draw(st.sets(st.integers(0, len(states) - 1)))), len(states) - 1]
    seen: EventId | None = None
    sent = []
    for look in looks:
        for news in list_news(seen, states[look]):
            seen = news.event_id
            sent.append(news)
        assert seen is not None
        assert read_event_id(str(seen)) == seen
    last = states[-1]
    assert len({news.event_id for news in sent}) == len(sent)  # nothing twice
    assert list_news(seen, last) == []  # nothing left
    if last.status in ENDED:
        assert sent[-1].kind == "end"
        assert sent[-1].job == last
    if len(looks) > 1 and last.started_at and states[looks[0]].started_at != last.started_at:
        starts = [news.job.started_at for news in sent if news.kind == "status" and news.job.status == "started"]
        assert last.started_at in starts
        reports = [news.job.progress.updated_at for news in sent if news.kind == "progress"]
        assert last.progress.updated_at in (None, *reports[-1:])


@given(STEPS, st.data())
def test_a_client_may_come_back_after_any_event(steps: list[str], data: st.DataObject) -> None:
    states = live(steps)
    first = data.draw(st.integers(0, len(states) - 1))
    begun = list_news(None, states[first])[-1].event_id
    whole = list_news(begun, states[-1])
    for cut in range(len(whole)):
        rest = list_news(read_event_id(str(whole[cut].event_id)), states[-1])
        assert [(news.kind, news.event_id) for news in rest] == [
            (news.kind, news.event_id) for news in whole[cut + 1 :]
        ]


def test_a_client_that_knows_nothing_gets_the_job_as_it_is() -> None:
    states = live(["start", "report", "finished"])
    assert [[news.kind for news in list_news(None, job)] for job in states] == [
        ["status"],
        ["status"],
        ["status", "progress"],
        ["end"],
    ]


def test_a_start_that_was_passed_over_is_shown_before_the_end() -> None:
    states = live(["start", "report", "finished"])
    news = list_news(build_event_id(states[0]), states[-1])
    assert [(one.kind, one.job.status) for one in news] == [
        ("status", "started"),
        ("progress", "finished"),
        ("end", "finished"),
    ]
    assert (news[0].job.ended_at, news[0].job.result) == (None, None)


def test_what_is_no_id_of_ours_is_no_mark() -> None:
    for id in (None, "", "x", "queued", "queued.x....", "queued.1...", "nosuch.1.....", "0" * 5000, "queued.1......"):
        assert read_event_id(id) is None, id
    assert read_event_id("queued.1.2..") is None
    assert read_event_id("queued.1.2...") == EventId("queued", 1, "2", "", "", "")


def test_a_place_is_the_mark_alone_before_the_first_line_and_holds_both_after_it() -> None:
    event_id = build_event_id(FRESH)
    assert write_place(event_id, 0) == str(event_id)
    for place in ((event_id, 0), (event_id, 12), (None, 12)):
        assert read_place(write_place(*place)) == place


@pytest.mark.parametrize("id", [None, "", "x", "log", "log.", "log.x", "x.12", "queued.0.....1.2", f"log.{'9' * 16}"])
def test_an_id_that_is_none_of_ours_is_no_place(id: str | None) -> None:
    assert read_place(id) == (None, 0)


def list_events(seen: JobStatus, now: JobStatus) -> list[tuple[str, EventId, JobStatus]]:
    return [(news.kind, news.event_id, news.job) for news in list_news(build_event_id(seen), now)]


def test_a_start_is_shown_as_the_job_is_and_its_report_after_it() -> None:
    queued, started, reported = live(["start", "report"])
    assert list_events(queued, started) == [("status", build_event_id(started), started)]
    assert list_events(queued, reported) == [
        ("status", build_event_id(started), reported),
        ("progress", build_event_id(reported), reported),
    ]
    assert list_events(started, reported) == [("progress", build_event_id(reported), reported)]


def test_a_report_that_is_known_is_not_shown_again_with_another_attempt() -> None:
    reported = live(["start", "report"])[-1]
    again = replace(reported, attempts=2)
    assert list_events(reported, again) == [("status", build_event_id(again), again)]


def test_a_job_that_waits_again_is_shown_after_its_last_report() -> None:
    _, started, reported, waiting = live(["start", "report", "retry"])
    assert list_events(reported, waiting) == [("status", build_event_id(waiting), waiting)]
    assert [kind for kind, *_ in list_events(started, waiting)] == ["progress", "status"]


def test_a_batchs_event_says_how_many_jobs_have_which_status() -> None:
    assert build_batch_event_id(BatchStatus("b", "log", "", {"queued": 2, "finished": 1})) == "finished=1,queued=2"
