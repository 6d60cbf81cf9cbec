"""What became of every acknowledged job: pure sums over what was posted, stored and noted."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from tests.chaos.ledger import Run
from tests.chaos.shapes import LOST, SHAPES
from tests.support.sinks import Taken

ENDED = frozenset({"finished", "failed", "canceled", "stopped"})
UNPAUSED_SECONDS = 2.0  # so old may be what a replica has not yet
ORDER_SECONDS = 5.0  # two times that differ by more were told by clocks that had jumped
OVERLAP_SECONDS = 0.05  # clocks and notes are that exact


@dataclass(frozen=True)
class Acknowledged:
    """A job that the API answered for; `number` is ours, `at` is when."""

    id: str
    shape: str
    number: int
    at: float


@dataclass(frozen=True)
class Stored:
    """A job as Redis has it at the end; `ends` are its recorded results that are no retry."""

    status: str
    error: str = ""
    message: str = ""
    attempts: int = 0
    interruptions: int = 0
    losses: int = 0
    retries: int = 0
    ends: int = 0
    places: tuple[str, ...] = ()  # the keys of RQ that hold its id
    ended_at: float = 0.0


@dataclass(frozen=True)
class Disturbance:
    """A time in which a worker was frozen or cut off from Redis."""

    worker: int
    since: float
    until: float
    kind: Literal["frozen", "cut off"] = "frozen"


@dataclass(frozen=True)
class Rerun:
    """A job whose process ended under it, at `died`, and which ran again from `started`."""

    job: str
    died: float
    started: float

    @property
    def seconds(self) -> float:
        """How long it waited."""
        return self.started - self.died


@dataclass
class Account:
    """The sums; lists hold ids, with what there is to say of each."""

    acknowledged: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    lost_unpaused: list[str] = field(default_factory=list)
    ended_twice: list[str] = field(default_factory=list)
    without_effect: list[str] = field(default_factory=list)
    surprising: list[str] = field(default_factory=list)
    failed_as_lost: list[str] = field(default_factory=list)
    reruns: Counter[str] = field(default_factory=Counter)
    unrecorded_starts: list[str] = field(default_factory=list)
    ran_after_end: int = 0
    overlaps: list[str] = field(default_factory=list)
    disturbed_overlaps: int = 0
    posted_twice: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    reruns_after_death: list[Rerun] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Return whether nothing acknowledged is lost and every job has one end."""
        return not (self.lost or self.ended_twice or self.without_effect)


def account_for(
    acknowledged: Sequence[Acknowledged],
    stored: Mapping[str, Stored],
    runs: Mapping[str, list[Run]],
    effects: Mapping[str, float],
    disturbances: Sequence[Disturbance] = (),
    unpaused: Sequence[float] = (),
) -> Account:
    """Return what became of the jobs; `effects` says when the work of a job was first done.

    `unpaused` are the failovers that may have lost what was acknowledged just before: that is told apart.
    """
    account = Account(acknowledged=len(acknowledged))
    for job in acknowledged:
        _judge_end(account, job, stored.get(job.id), effects, unpaused)
        frozen = [disturbance for disturbance in disturbances if disturbance.kind == "frozen"]
        _judge_way(account, job, stored.get(job.id), runs.get(job.id, []), frozen)
    _judge_chains(account, acknowledged, effects)
    for id, of_job in runs.items():
        if not any(abs(run.start - at) < UNPAUSED_SECONDS for run in of_job for at in unpaused):
            _judge_runs(account, id, of_job, stored.get(id), disturbances)
    _find_doubles(account, runs)
    account.reruns_after_death.sort(key=lambda rerun: -rerun.seconds)
    return account


def is_excused(job: Acknowledged, unpaused: Sequence[float]) -> bool:
    """Return whether a job may be lost: it was acknowledged just before a failover that waited for nothing."""
    return any(abs(job.at - at) < UNPAUSED_SECONDS for at in unpaused)


def _judge_end(
    account: Account,
    job: Acknowledged,
    found: Stored | None,
    effects: Mapping[str, float],
    unpaused: Sequence[float],
) -> None:
    if found is None and is_excused(job, unpaused):
        account.lost_unpaused.append(f"{job.id} ({job.shape})")
        return
    if found is None or found.status not in ENDED:
        where = f"{found.status}, in {', '.join(found.places) or 'no list'}" if found else "unknown to Redis"
        account.lost.append(f"{job.id} ({job.shape}): {where}")
        return
    account.ended[f"{found.status} {found.error}".strip()] += 1
    if found.ends > 1 or len(found.places) > 1:
        account.ended_twice.append(f"{job.id} ({job.shape}): {found.ends} results, in {', '.join(found.places)}")
    if found.status == "finished" and job.id not in effects:
        account.without_effect.append(f"{job.id} ({job.shape}): finished, and nothing was done")


def _judge_way(
    account: Account, job: Acknowledged, found: Stored | None, runs: list[Run], frozen: Sequence[Disturbance]
) -> None:
    """Look whether a job ended as its shape should; time goes on for one that is frozen, its time-out does not."""
    if found is None or found.status not in ENDED:
        return
    end = (found.status, found.error)
    excused = any(_is_within(disturbance, run, run.end) for run in runs for disturbance in frozen)
    if end == LOST and job.shape != "poison":
        account.failed_as_lost.append(f"{job.id} ({job.shape}): {found.message}")
    elif end not in SHAPES[job.shape].ends and not excused:
        account.surprising.append(f"{job.id} ({job.shape}): {' '.join(end)}: {found.message}")


def _judge_runs(
    account: Account, id: str, runs: list[Run], found: Stored | None, disturbances: Sequence[Disturbance]
) -> None:
    """Sum up why a job ran more than once, and how long it waited for its next run after a death."""
    for before, after in pairwise(runs):
        if not before.word:
            account.reruns_after_death.append(Rerun(id, before.end, after.start))
        account.ran_after_end += before.word == "end"
        if after.start < before.end - OVERLAP_SECONDS:
            if any(_is_within(disturbance, before, after.start) for disturbance in disturbances):
                account.disturbed_overlaps += 1
            else:
                account.overlaps.append(f"{id}: worker {before.worker} and {after.worker}, {_describe(before, after)}")
    if found is None or len(runs) == 1:
        return
    account.reruns["jobs"] += 1
    account.reruns["retried"] += found.retries > 0
    account.reruns["handed back"] += found.interruptions > 0
    account.reruns["lost with its process"] += found.losses > 0
    recorded = 1 + found.retries + found.interruptions + found.losses
    if len(runs) > min(recorded, found.attempts):
        reasons = f"{found.retries} retries, {found.interruptions} interruptions, {found.losses} losses"
        account.unrecorded_starts.append(f"{id}: {len(runs)} starts, {found.attempts} attempts, {reasons}")


def _is_within(disturbance: Disturbance, run: Run, until: float) -> bool:
    """Return whether the worker of a run was disturbed in it, until some time."""
    return disturbance.worker == run.worker and disturbance.since < until and disturbance.until > run.start


def _describe(before: Run, after: Run) -> str:
    return f"{before.start:.3f} to {before.end:.3f} ({before.word or 'killed'}), then from {after.start:.3f}"


def _find_doubles(account: Account, runs: Mapping[str, list[Run]]) -> None:
    """Find posts that became more than one job: an answer lost, sent again, and stored again."""
    by_number: dict[int, set[str]] = defaultdict(set)
    for id, of_job in runs.items():
        by_number[of_job[0].number].add(id)
    account.posted_twice = [f"{number}: {', '.join(ids)}" for number, ids in by_number.items() if len(ids) > 1]


def _judge_chains(account: Account, acknowledged: Sequence[Acknowledged], effects: Mapping[str, float]) -> None:
    """Find chains whose second job was done before their first."""
    chained = [job for job in acknowledged if job.shape == "chain"]
    for first, second in zip(chained[::2], chained[1::2], strict=True):
        late_seconds = effects.get(first.id, math.inf) - effects.get(second.id, math.inf)
        if second.id in effects and (0 < late_seconds < ORDER_SECONDS or first.id not in effects):
            account.out_of_order.append(f"{second.id} before {first.id}")


@dataclass
class Mails:
    """What the sink took more than once, by the reason that there is."""

    taken: int = 0
    twice: int = 0
    untold: int = 0
    rerun: int = 0
    unexplained: list[str] = field(default_factory=list)


def account_for_mails(stored: Mapping[str, Stored], taken: Sequence[Taken]) -> Mails:
    """Return how many mails were taken more than once: the sender was told nothing, its run was lost, or neither."""
    by_id: dict[str, list[Taken]] = defaultdict(list)
    for mail in taken:
        by_id[mail.job].append(mail)
    mails = Mails(taken=len(by_id), twice=sum(len(of_job) > 1 for of_job in by_id.values()))
    for id, of_job in by_id.items():
        if len(of_job) == 1:
            continue
        found = stored.get(id)
        if not all(mail.answered for mail in of_job[:-1]):
            mails.untold += 1
        elif found and (found.losses or found.interruptions):
            mails.rerun += 1
        else:
            mails.unexplained.append(f"{id}: {', '.join(f'{mail.at:.3f}' for mail in of_job)}")
    return mails
