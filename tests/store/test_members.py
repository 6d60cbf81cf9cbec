"""When a watched batch may have ended."""

from errand.store.batch import BatchStatus
from errand.store.new_job import derive_ids
from errand.store.watch.members import Members

BATCH, OTHER = "5f0c7d1e-0000-4000-8000-000000000000", "bcdefa92-2fcf-4655-b44f-7846d446f290"


def count(id: str = BATCH, **counts: int) -> BatchStatus:
    return BatchStatus(id, "log", "", counts)


def test_a_batch_may_have_ended_once_as_many_jobs_have_changed_as_had_not_ended() -> None:
    members, ids = Members(), derive_ids(BATCH, 4)
    members.add(count(finished=2, queued=2))
    members.add(count(queued=4))  # it is known
    assert [members.hear([id]) for id in (ids[0], ids[0], ids[1])] == [set(), set(), {BATCH}]
    assert members.hear(ids[:1]) == set()
    assert not members.note(count(finished=2, queued=2))
    assert members.note(count(finished=3, queued=1))


def test_a_batch_that_has_ended_is_due_with_the_next_change_alone() -> None:
    members, ids = Members(), derive_ids(BATCH, 2)
    members.add(count(finished=2))
    assert not members.note(count(finished=2))
    assert members.hear(ids[:1]) == {BATCH}


def test_batches_are_distinguished_and_forgotten_alone() -> None:
    members = Members()
    for id in (BATCH, OTHER):
        members.add(count(id, queued=1))
    (one,), (other,) = derive_ids(BATCH, 1), derive_ids(OTHER, 1)
    assert members.hear(["x", one, other]) == {BATCH, OTHER}
    members.remove(BATCH)
    members.remove("x")
    assert members.hear([one, other]) == {OTHER}
    assert not members.note(count(finished=1))
