"""The accounting of a chaos run, from given ledgers and statuses."""

from dataclasses import dataclass, replace

import pytest

from tests.chaos.account import Account, Acknowledged, Disturbance, Stored, account_for, account_for_mails
from tests.chaos.ledger import Run, read_runs
from tests.support.sinks import Taken

JOB = Acknowledged("a", "task", 1, 100.0)
FINISHED = Stored("finished", attempts=1, ends=1, places=("rq:finished:default",))
RUN = Run("a", 1, 10, 100.0, "end", 101.0, worker=0)


@dataclass
class Process:
    worker: int
    last_seen: float


class Processes:
    def find(self, pid: int, at: float) -> Process | None:
        return Process(0, 103.5) if pid == 10 else None


def account(*stored: Stored, job: Acknowledged = JOB, runs: tuple[Run, ...] = (RUN,), **given: object) -> Account:
    effects = {run.job: run.end for run in runs if run.word == "end"}
    found = {"a": stored[0]} if stored else {}
    return account_for([job], found, {"a": list(runs)} if runs else {}, effects, **given)  # type: ignore[arg-type]


def test_a_job_that_finished_is_sound() -> None:
    found = account(FINISHED)
    assert found.is_sound
    assert found.ended == {"finished": 1}
    assert (found.surprising, found.reruns, found.unrecorded_starts) == ([], {}, [])


@pytest.mark.parametrize("stored", [(), (Stored("started"),), (Stored("queued", places=()),), (Stored("scheduled"),)])
def test_a_job_that_is_gone_or_has_not_ended_is_lost(stored: tuple[Stored, ...]) -> None:
    found = account(*stored)
    assert len(found.lost) == 1
    assert not found.is_sound


def test_two_recorded_results_are_two_ends() -> None:
    found = account(replace(FINISHED, ends=2))
    assert found.ended_twice
    assert not found.is_sound


def test_a_job_in_two_registries_has_two_ends() -> None:
    found = account(replace(FINISHED, places=("rq:finished:default", "rq:failed:default")))
    assert found.ended_twice


def test_a_finished_job_that_did_nothing_is_reported() -> None:
    found = account(FINISHED, runs=(replace(RUN, word=""),))
    assert found.without_effect
    assert not found.is_sound


def test_an_end_that_the_jobs_shape_does_not_have_is_surprising() -> None:
    assert account(Stored("failed", "ValueError", ends=1)).surprising
    assert not account(Stored("failed", "ValueError", ends=1), job=replace(JOB, shape="failing always")).surprising


def test_a_job_that_ended_late_because_it_was_frozen_is_not_surprising() -> None:
    job = replace(JOB, shape="too long")
    assert account(FINISHED, job=job, disturbances=[Disturbance(0, 99.0, 102.0, "cut off")]).surprising
    assert not account(FINISHED, job=job, disturbances=[Disturbance(0, 99.0, 102.0)]).surprising


def test_failing_as_lost_is_counted_apart_and_meant_for_poison_only() -> None:
    lost = Stored("failed", "Lost", ends=1)
    assert account(lost).failed_as_lost
    assert not account(lost, job=replace(JOB, shape="poison")).failed_as_lost


def test_a_start_that_no_record_explains_is_reported() -> None:
    runs = (replace(RUN, word=""), replace(RUN, start=110.0, end=111.0))
    assert account(replace(FINISHED, attempts=2), runs=runs).unrecorded_starts
    assert not account(replace(FINISHED, attempts=2, losses=1), runs=runs).unrecorded_starts
    assert account(replace(FINISHED, attempts=1, losses=1), runs=runs).unrecorded_starts


def test_a_rerun_is_timed_from_the_death_of_the_process() -> None:
    runs = (replace(RUN, word="", end=103.5), replace(RUN, start=110.0, end=111.0))
    assert [rerun.seconds for rerun in account(FINISHED, runs=runs).reruns_after_death] == [6.5]


def test_two_runs_at_a_time_count_apart_where_the_first_worker_was_frozen() -> None:
    runs = (RUN, replace(RUN, start=100.5, worker=1))
    assert len(account(FINISHED, runs=runs).overlaps) == 1
    elsewhere = account(FINISHED, runs=runs, disturbances=[Disturbance(1, 99.0, 102.0)])
    assert len(elsewhere.overlaps) == 1
    frozen = account(FINISHED, runs=runs, disturbances=[Disturbance(0, 99.0, 102.0)])
    assert (frozen.overlaps, frozen.disturbed_overlaps) == ([], 1)


def test_runs_one_after_the_other_do_not_overlap() -> None:
    found = account(FINISHED, runs=(RUN, replace(RUN, start=101.2, end=102.0)))
    assert (found.overlaps, found.disturbed_overlaps, found.ran_after_end) == ([], 0, 1)


def test_one_post_that_became_two_jobs_is_reported() -> None:
    runs = {"a": [RUN], "b": [replace(RUN, job="b")]}
    assert account_for([JOB], {"a": FINISHED}, runs, {"a": 101.0}).posted_twice


def test_a_chain_out_of_order_is_reported() -> None:
    chain = [replace(JOB, id=id, shape="chain") for id in "ab"]
    stored = {"a": FINISHED, "b": FINISHED}
    assert account_for(chain, stored, {}, {"a": 5.0, "b": 4.0}).out_of_order
    assert not account_for(chain, stored, {}, {"a": 4.0, "b": 5.0}).out_of_order


def test_the_ledger_gives_runs_with_their_ends_and_deaths() -> None:
    lines = ["start a 10 100.000 1", "start a 11 104.000 1", "end a 11 105.000 1", "start b 10 102.000 2"]
    runs = read_runs(lines, Processes())
    assert [(run.word, run.end) for run in runs["a"]] == [("", 103.5), ("end", 105.0)]
    assert runs["b"][0].end == 103.5


def test_mails_taken_twice_are_reported_with_their_reason() -> None:
    def take(id: str, *told: bool) -> list[Taken]:
        return [Taken(f"<{id}@example.com>", "x", at, one) for at, one in enumerate(told)]

    taken = [*take("a", True), *take("b", False, True), *take("c", True, True), *take("d", True, True)]
    found = account_for_mails({"c": replace(FINISHED, losses=1), "d": FINISHED}, taken)
    assert (found.taken, found.twice, found.untold, found.rerun) == (4, 3, 1, 1)
    assert [line.partition(":")[0] for line in found.unexplained] == ["d"]
