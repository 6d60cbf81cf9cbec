"""When a watched batch may have ended, by what is published of its jobs."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from errand.store.batch import BatchStatus
from errand.store.new_job import derive_ids


@dataclass
class Member:
    """A watched batch: its jobs, how many of them had not ended, and those that have changed since it was read."""

    ids: list[str]
    left: int
    changed: set[str] = field(default_factory=set)


class Members:
    """Knows the jobs of watched batches, whose ids follow from the batch's.

    A batch is counted by reading each of its jobs, so it is not worth that at each change: it can't have ended before
    as many of its jobs have changed as had not ended.
    """

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._batches: dict[str, str] = {}  # by job

    def add(self, batch: BatchStatus) -> None:
        """Know a batch that was read, unless it is known."""
        if batch.id not in self._members:
            ids = derive_ids(batch.id, batch.total)
            self._members[batch.id] = Member(ids, batch.total - batch.ended)
            self._batches.update(dict.fromkeys(ids, batch.id))

    def remove(self, id: str) -> None:
        """Forget a batch; any other id is passed over."""
        for job in self._members.pop(id, Member([], 0)).ids:
            self._batches.pop(job, None)

    def hear(self, ids: Iterable[str]) -> set[str]:
        """Take the ids of jobs that have changed; return those of batches that may have ended."""
        batches: set[str] = set()
        for id in ids if self._batches else ():
            if (batch := self._batches.get(id)) is not None:
                self._members[batch].changed.add(id)
                batches.add(batch)
        return {batch for batch in batches if self._is_due(self._members[batch])}

    def note(self, batch: BatchStatus) -> bool:
        """Take a batch as it was read; return whether it may have ended since."""
        member = self._members.get(batch.id)
        if member is None:
            return False
        member.left = batch.total - batch.ended
        return self._is_due(member)

    def _is_due(self, member: Member) -> bool:
        if not member.changed or len(member.changed) < member.left:
            return False
        member.changed.clear()  # it is read now; what comes from here on counts anew
        return True
