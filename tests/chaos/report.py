"""The report, as lines to read and as Markdown."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.account import Account, Mails
from tests.chaos.house import GRACE_SECONDS, Exit

SHOWN = 8  # of each list of particulars


@dataclass
class Row:
    """One figure; `particulars` are told below it."""

    label: str
    value: str
    particulars: Sequence[str] = ()
    wrong: bool = False


@dataclass
class Findings:
    """All that a run found."""

    seed: int
    minutes: float
    drain_seconds: float
    faults: Counter[str]
    missed: Counter[str]
    fault_times: Sequence[float]
    account: Account
    mails: Mails
    answers: Counter[str]
    resent: int
    unknown: int
    most_waiting: int
    exits: Sequence[Exit]
    orphans: Sequence[int]
    leftovers: dict[str, int]
    tracebacks: Sequence[str]
    errors: Sequence[str]


def build_rows(found: Findings) -> list[Row]:
    """Return the report's rows."""
    account, mails = found.account, found.mails
    kinds = [f"{count} × {kind}" for kind, count in found.faults.most_common()]
    return [
        Row("seed", str(found.seed)),
        Row("minutes", f"{found.minutes:.1f}, and {found.drain_seconds:.0f} s until everything had ended"),
        Row("faults", str(found.faults.total()), kinds),
        Row("faults that found no victim", str(found.missed.total())),
        Row("answers to posts", _describe_counts(found.answers), [f"{found.resent} sent again"]),
        Row("acknowledged jobs", str(account.acknowledged)),
        Row("ended", _describe_counts(account.ended)),
        _row("lost", account.lost),
        Row("lost in a failover without a pause, told apart", str(len(account.lost_unpaused))),
        _row("with two recorded ends", account.ended_twice),
        _row("recorded as finished, not done", account.without_effect),
        _row("ended in another way than they should", account.surprising),
        _row("failed as Lost, after three losses", account.failed_as_lost),
        Row("run more than once", _describe_counts(account.reruns)),
        Row("run again after a run that noted its end", str(account.ran_after_end)),
        _row("with more starts than recorded reasons", account.unrecorded_starts),
        _row("two runs at a time, nothing frozen or cut off", account.overlaps),
        Row("two runs at a time, the first one's worker frozen or cut off", str(account.disturbed_overlaps)),
        _row("posts that became two jobs", account.posted_twice),
        Row("posts never acknowledged (unknown)", str(found.unknown)),
        Row("mails", f"{mails.taken}, {mails.twice} of them taken more than once", _describe_mails(mails)),
        _row("chains whose line came before the mail", account.out_of_order),
        Row(
            "seconds from a process's death to the rerun",
            _describe_reruns(account),
            _describe_longest(account, found.fault_times),
        ),
        Row("most jobs waiting", str(found.most_waiting)),
        _describe_exits(found.exits),
        _row("processes that outlived their worker", [str(pid) for pid in found.orphans]),
        _row("left in Redis", [f"{key}: {size}" for key, size in found.leftovers.items()]),
        _row("unexpected tracebacks", found.tracebacks),
        _row("errors of this program", found.errors),
    ]


def write_text(rows: Sequence[Row]) -> str:
    """Return the report as lines to read."""
    lines = []
    for row in rows:
        lines.append(f"{row.label:<62}{row.value}")
        lines += [f"    {line}" for line in row.particulars]
    return "\n".join(lines)


def write_markdown(rows: Sequence[Row]) -> str:
    """Return the report as a table."""
    lines = ["# A run of `make chaos`", "", "| what | how many |", "|---|---|"]
    for row in rows:
        lines.append(f"| {row.label} | {'<br>'.join([row.value, *row.particulars]).replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def _row(label: str, particulars: Sequence[str]) -> Row:
    more = [f"… and {len(particulars) - SHOWN} more"] if len(particulars) > SHOWN else []
    return Row(label, str(len(particulars)), [*particulars[:SHOWN], *more], wrong=bool(particulars))


def _describe_counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.most_common() if count) or "none"


def _describe_mails(mails: Mails) -> list[str]:
    if not mails.twice:
        return []
    known = f"{mails.untold} where the sink had hung up before its reply, {mails.rerun} whose first run was lost"
    return [known, f"{len(mails.unexplained)} for no such reason", *mails.unexplained[:SHOWN]]


def _describe_reruns(account: Account) -> str:
    seconds = sorted(rerun.seconds for rerun in account.reruns_after_death)
    if not seconds:
        return "none"
    middle, most = seconds[len(seconds) // 2], seconds[int(len(seconds) * 0.95)]
    return f"longest {seconds[-1]:.1f}, 95 % within {most:.1f}, half within {middle:.1f} ({len(seconds)} runs)"


def _describe_longest(account: Account, fault_times: Sequence[float]) -> list[str]:
    return [
        f"{rerun.seconds:.1f} s: {rerun.job}, from {rerun.died:.1f}, with "
        f"{sum(rerun.died - 1 < at < rerun.started for at in fault_times)} faults in that time"
        for rerun in account.reruns_after_death[:3]
    ]


def _describe_exits(exits: Sequence[Exit]) -> Row:
    counts = Counter(
        f"{one.name.partition('-')[0]}: {' + '.join(one.causes) or 'NOTHING'}: {one.code}" for one in exits
    )
    stopped = [one for one in exits if one.causes and all("SIGTERM" in cause for cause in one.causes)]
    terms = [one.seconds for one in stopped if one.code == 0]
    longest = f"longest from SIGTERM to exit {max(terms, default=0):.1f} s (grace {GRACE_SECONDS} s)"
    unasked = any(not one.causes or ("at the end" in one.causes[0] and one.code) for one in exits)
    return Row("exits", longest, [f"{count} × {kind}" for kind, count in sorted(counts.items())], wrong=unasked)
