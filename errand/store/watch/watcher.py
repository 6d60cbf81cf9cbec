"""Watching jobs and batches: one subscription and one poll a process, however many clients wait."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from redis import RedisError
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from errand.contract.errors import name_type
from errand.redis import keys
from errand.redis.group_commit import GroupCommit
from errand.store.batch import BatchReader, BatchStatus
from errand.store.status import JobStatus, StatusReader
from errand.store.watch.members import Members

T = TypeVar("T")

POLL_SECONDS = 0.5  # for what nobody publishes (a plain worker's ends) and for what got lost
VERSIONS_AT_ONCE = 100  # jobs a call, so that the script is short
BATCHED_AT_ONCE = 10_000  # jobs of batches that one poll counts; each is a read in Redis
LINGER_POLLS = 20  # with nobody watching, before it ends: often another client comes soon
PING_SECONDS = 5.0  # of silence; a connection that then does not answer in as many is given up
RETRY_SECONDS = 0.5  # before the next subscription: as long as a poll, which bridges the gap

logger = logging.getLogger("errand.api")


class Watch(Generic[T]):
    """The newest state of what one client watches. States that it is too slow for are passed over."""

    def __init__(self, state: T) -> None:
        self.state: T | None = state
        self._bell = asyncio.Event()

    def notify(self, state: T | None) -> None:
        """Take a new state, None where it is gone."""
        self.state = state
        self._bell.set()

    def ring(self) -> None:
        """End the wait without a new state."""
        self._bell.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until there may be something new, at most so long; return whether there may."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._bell.wait()
            self._bell.clear()
            return True
        return False


@dataclass(eq=False, slots=True)
class Watched:
    """A job or a batch, and who watches it."""

    read: Callable[[str], Awaitable[Any]]
    jobs: int  # of the batch; 0 for a job
    version: Any = None  # of a job, by the last poll
    watches: set[Watch[Any]] = field(default_factory=set)


class Watcher:
    """Notifies watches of what becomes of their jobs and batches, over one client; while Redis is away, of nothing."""

    def __init__(self, redis: Redis, jobs: StatusReader, batches: BatchReader) -> None:
        self.is_stopping = False
        self._redis = redis
        self._jobs, self._batches = jobs, batches
        self._versions = GroupCommit(redis, "store/versions")
        self._watched: dict[str, Watched] = {}
        self._members = Members()
        self._changed: set[str] = set()
        self._bell = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_away = False

    async def read_job(self, id: str) -> JobStatus | None:
        """Return a job to be watched, None where there is none. Raises RedisError and TimeoutError."""
        return await self._jobs.read(id)

    @contextmanager
    def watch_job(self, job: JobStatus) -> Iterator[Watch[JobStatus]]:
        """Watch a job that was read, until the block ends."""
        with self._watch(job.id, Watched(self._jobs.read, 0), Watch(job)) as watch:
            yield watch

    @contextmanager
    def watch_batch(self, batch: BatchStatus) -> Iterator[Watch[BatchStatus]]:
        """Watch a batch that was read, until the block ends."""
        self._members.add(batch)
        with self._watch(batch.id, Watched(self._batches.read, batch.total), Watch(batch)) as watch:
            yield watch

    @contextmanager
    def _watch(self, id: str, new: Watched, watch: Watch[T]) -> Iterator[Watch[T]]:
        watched = self._watched.setdefault(id, new)
        watched.version = None  # the others may have heard what happened since this one's state was read
        watched.watches.add(watch)
        if not self._tasks:
            steps = (self._poll_on(), self._listen(), self._read_changed())
            self._tasks = [asyncio.create_task(step) for step in steps]
        try:
            yield watch
        finally:
            watched.watches.discard(watch)
            if not watched.watches:
                self._watched.pop(id, None)
                self._members.remove(id)

    def stop(self) -> None:
        """End every wait, now and from now on: the process is about to end."""
        self.is_stopping = True
        for watched in self._watched.values():
            for watch in watched.watches:
                watch.ring()

    async def listen_anew(self) -> None:
        """Let the subscription go over a new connection: this one may lead to a server that nobody publishes at."""
        if self._tasks:
            old, self._tasks[1] = self._tasks[1], asyncio.create_task(self._listen())
            await _end(old)

    async def close(self) -> None:
        """End the subscription and the poll."""
        await _end(*self._tasks)

    async def _poll_on(self) -> None:
        idle = 0
        while idle < LINGER_POLLS:
            await asyncio.sleep(POLL_SECONDS)
            await self._poll()
            idle = 0 if self._watched else idle + 1
        others, self._tasks = (
            self._tasks[1:],
            [],
        )  # in the step of the last look: the next watch starts anew
        await _end(*others)

    def _note(self, ids: Iterable[str]) -> None:
        self._changed.update(ids)
        if self._changed:
            self._bell.set()

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as channel:
                    await channel.subscribe(keys.EVENTS)
                    await self._hear(channel)
            except (RedisError, OSError, TimeoutError) as error:
                logger.debug("the subscription to %s ended: %s", keys.EVENTS, error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _hear(self, channel: PubSub) -> None:
        """Take messages until the connection breaks or does not even answer a ping."""
        is_asked = False
        while True:
            message = await channel.get_message(timeout=PING_SECONDS)
            if message is None:
                if is_asked:
                    return
                await channel.ping()
            elif message["type"] == "message":
                ids = message["data"].decode(errors="replace").split(" ")
                self._note([id for id in ids if id in self._watched])
                self._note(self._members.hear(ids))
            is_asked = message is None

    async def _read_changed(self) -> None:
        while True:
            await self._bell.wait()
            self._bell.clear()
            changed, self._changed = self._changed & self._watched.keys(), set()
            reads = [self._watched[id].read(id) for id in changed]
            found = await asyncio.gather(*reads, return_exceptions=True)
            for id, state in zip(changed, found, strict=True):
                self._deliver(id, state)
            faults = [state for state in found if isinstance(state, BaseException)]
            if faults and not self._is_away:
                kind = name_type(faults[0])
                logger.warning("%d of %d watched records could not be read: %s", len(faults), len(found), kind)

    def _deliver(self, id: str, state: Any) -> None:
        watched = self._watched.get(id)
        if watched is None:
            return
        if isinstance(state, BaseException):
            watched.version = None  # the next poll has it read again
            return
        for watch in watched.watches:
            watch.notify(state)
        if isinstance(state, BatchStatus) and self._members.note(state):
            self._note([id])

    async def _poll(self) -> None:
        self._note(self._choose_batches())
        jobs = [id for id, watched in self._watched.items() if not watched.jobs]
        try:
            await asyncio.gather(*(self._compare(ids) for ids in _cut(jobs, VERSIONS_AT_ONCE)))
            self._is_away = False
        except (RedisError, OSError, TimeoutError) as error:
            if not self._is_away:
                logger.warning("Redis is away (%s); those who watch jobs hear of them when it is back", error)
            self._is_away = True

    async def _compare(self, ids: Sequence[str]) -> None:
        versions = await self._versions.call([keys.JOB + id for id in ids])
        for id, version in zip(ids, versions, strict=True):
            watched = self._watched.get(id)
            if watched is not None and watched.version != (version,):
                watched.version = (version,)
                self._note([id])

    def _choose_batches(self) -> list[str]:
        """Return the batches whose turn it is: as many as one poll may count, those that waited longest first."""
        chosen: list[str] = []
        left = BATCHED_AT_ONCE
        for id, watched in self._watched.items():
            if watched.jobs and left > 0:
                left -= watched.jobs
                chosen.append(id)
        for id in chosen:
            self._watched[id] = self._watched.pop(id)
        return chosen


async def _end(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks until they are done: before Python 3.12 `wait_for`, by which redis-py sends, may swallow one."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=0.1)


def _cut(ids: list[str], size: int) -> list[list[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]
