"""RQ's job, queue and worker as the dashboard reads them: as JSON, and past what is damaged."""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import redis
from rq import Queue, Worker
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import Job
from rq.results import Result
from rq.serializers import JSONSerializer

from errand.redis import keys
from errand.redis.lua.loader import read_script
from errand.store.observe.bounded import TooLargeError, cut_record, unzip

AWAY = (redis.ConnectionError, redis.TimeoutError)
# What reading a damaged record raises, in RQ or below.
DAMAGE = (ValueError, TypeError, AttributeError, KeyError, ArithmeticError, zlib.error, DeserializationError)


def is_damage(error: BaseException) -> bool:
    """Return whether an error comes from something damaged in Redis: a record, or a key of a wrong type."""
    return isinstance(error, DAMAGE) or (isinstance(error, redis.ResponseError) and "WRONGTYPE" in str(error))


@contextmanager
def past_damage() -> Iterator[None]:
    """Go on after the block where something that it read is damaged."""
    try:
        yield
    except Exception as error:
        if not is_damage(error):
            raise


class JSONJob(Job):
    """RQ's job, read as JSON whoever asks."""

    def __init__(self, id: str | None = None, connection: Any = None, serializer: Any = None) -> None:
        super().__init__(id, connection, JSONSerializer)

    @property
    def dependency_ids(self) -> list[Any]:
        """The ids as bytes, which the dashboard decodes."""
        return [id.encode() for id in super().dependency_ids]

    def refresh(self) -> None:
        """Read it again, without a payload that is too large. Raises NoSuchJobError."""
        found = self.connection.register_script(read_script("observe/record"))(keys=[self.key])
        if not found:
            raise NoSuchJobError(f"No such job: {self.key}")
        self.restore(dict(zip(found[::2], found[1::2], strict=True)))

    def restore(self, raw_data: Any) -> Any:
        """Take the fields over, with b"" in place of a compressed one that is too large."""
        return super().restore(cut_record(raw_data))

    def latest_result(self, timeout: int = 0) -> Result | None:
        """Return its last result, without what is too large to be shown."""
        found = self.connection.register_script(read_script("observe/result"))(keys=[keys.RESULTS + self.id])
        if not found:
            return None
        id, fields = found[0].decode(), dict(zip(found[1][::2], found[1][1::2], strict=True))
        with suppress(KeyError):
            fields[b"exc_string"] = _cut_trace(fields[b"exc_string"])
        return Result.restore(self.id, id, fields, self.connection, self.serializer)

    def get_meta(self, refresh: bool = True) -> dict[str, Any]:
        """Return the metadata; one that is not JSON must not hide the rest of the job."""
        return {"unreadable": repr(self._unreadable_meta)} if self._unreadable_meta else self.meta

    def get_call_string(self) -> str | None:
        """Return the call as text; one that is not JSON must not hide the other workers."""
        try:
            return super().get_call_string()
        except Exception:
            return self.description


def _cut_trace(packed: bytes) -> bytes:
    """Return a traceback as RQ packs it, or a line that says that it is too large."""
    try:
        unzip(b64decode(packed), keys.TRACE_BYTES)
    except TooLargeError as error:
        return b64encode(zlib.compress(f"(its traceback is not shown: it is {error})".encode()))
    except ValueError:
        pass  # RQ says what is wrong with it
    return packed


class JSONQueue(Queue):
    """RQ's queue as the dashboard uses it."""

    job_class = JSONJob

    def compact(self) -> None:
        """Take out the ids without a job, each by itself; the others stay where they are."""
        for id in self.get_job_ids():
            if not self.job_class.exists(id, self.connection):
                self.remove(id)


class JSONWorker(Worker):
    """RQ's worker as the dashboard reads it."""

    @classmethod
    def all(cls, *args: Any, **options: Any) -> Any:
        """Return every worker, its jobs read as JSON."""
        return super().all(*args, **{**options, "serializer": JSONSerializer, "job_class": JSONJob})

    @classmethod
    def find_by_key(cls, *args: Any, **options: Any) -> Any:
        """Return a worker, None where its record is damaged, which must not hide the others."""
        with past_damage():
            return super().find_by_key(*args, **options)
        return None

    def get_current_job(self) -> Job | None:
        """Return what it runs; a stand-in where that is gone or damaged, which must not hide the other workers."""
        try:
            return super().get_current_job()
        except AWAY:
            raise
        except Exception:
            job = JSONJob(self.get_current_job_id(), self.connection)
            job.description = f"job {job.id}, whose record is gone or damaged"
            return job

    def _set_connection(self, connection: Any) -> Any:
        return connection  # RQ would set this pool's time-out to 415 s
