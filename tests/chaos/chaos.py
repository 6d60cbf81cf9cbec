"""One run: start everything, let faults strike, drain, and account for every job."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from redis import Redis, RedisError

from tests.chaos.account import account_for, account_for_mails, is_excused
from tests.chaos.effects import read_effects
from tests.chaos.faults import Faults
from tests.chaos.house import House
from tests.chaos.ledger import read_runs
from tests.chaos.logs import count_tracebacks, list_unexpected
from tests.chaos.report import Findings
from tests.chaos.stored import count_waiting, find_leftovers, find_unended, list_all, read_jobs
from tests.chaos.stream import Stream
from tests.support.sinks import RandomSink

DRAIN_SECONDS = 180.0
CALM_SECONDS = 15.0  # how long leases and executions may take to go once everything has ended
WAITING_LIMIT = 1500  # jobs; above, the stream waits
READY_SECONDS = 60.0


class Chaos:
    """One run in one folder; `rate` is in jobs a second."""

    def __init__(self, folder: Path, seed: int, rate: float, mean_seconds: float, only: str) -> None:
        self._seed = seed
        self._sink = RandomSink(seed)
        self._sink.start()
        self._house = House(folder, self._sink.url)
        self._stream = Stream(self._house.port, folder, self._house.ledger, rate, seed)
        self._faults = Faults(self._house, self._stream, seed, mean_seconds, only)
        self._watching = True
        self._most_waiting = 0
        self._seconds = 0.0

    def start(self, is_over: Callable[[], bool]) -> None:
        """Start everything and wait until the first job has ended. Raises ServerMissingError and RuntimeError."""
        self._house.start()
        self._stream.start()
        deadline = time.monotonic() + READY_SECONDS
        while not is_over() and not (self._house.ledger.exists() and "\nend " in self._house.ledger.read_text()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"no job ended within {READY_SECONDS:.0f} s of the start")
            time.sleep(0.2)
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def run(self, seconds: float, limit: int | None, is_over: Callable[[], bool]) -> None:
        """Let faults strike for some seconds, or until there were `limit` of them."""
        began = time.monotonic()
        self._faults.run(seconds, limit, is_over)
        self._seconds = time.monotonic() - began

    def close(self, is_over: Callable[[], bool]) -> Findings:
        """Let everything that was acknowledged end, and account for it."""
        self._faults.finish()
        self._sink.failing = False
        began = time.monotonic()
        self._stream.stop()
        self._watching = False
        self._house.let_all_end()
        redis = Redis.from_url(self._house.url, socket_timeout=30)
        self._drain(redis, is_over)
        drain_seconds = time.monotonic() - began
        leftovers = self._wait_for_calm(redis)
        self._house.stop()
        return self._account(redis, leftovers, drain_seconds)

    def kill(self) -> None:
        """End whatever is left."""
        self._watching = False
        self._house.kill()
        self._sink.stop()

    def _watch(self) -> None:
        """Hold the stream back while too much waits, so that a run can drain; print once a minute how it goes."""
        printed_at = time.monotonic()
        waiting = 0
        while self._watching:
            with suppress(RedisError, OSError), Redis.from_url(self._house.url, socket_timeout=5) as redis:
                waiting = count_waiting(redis)
                self._most_waiting = max(waiting, self._most_waiting)
                self._stream.hold_back(waiting > WAITING_LIMIT)
            time.sleep(1)
            if time.monotonic() - printed_at > 60:
                printed_at = time.monotonic()
                acknowledged, faults = len(self._stream.acknowledged), self._faults.counts.total()
                print(f"{acknowledged} jobs acknowledged, {waiting} waiting, {faults} faults", flush=True)

    def _drain(self, redis: Redis, is_over: Callable[[], bool]) -> None:
        unended = {job.id for job in self._stream.acknowledged}
        excused = {job.id for job in self._stream.acknowledged if is_excused(job, self._faults.unpaused)}
        deadline = time.monotonic() + DRAIN_SECONDS
        while unended and time.monotonic() < deadline and not is_over():
            unended = find_unended(redis, unended)
            unended -= {id for id in unended & excused if not redis.exists(f"rq:job:{id}")}
            time.sleep(0.5)

    def _wait_for_calm(self, redis: Redis) -> dict[str, int]:
        deadline = time.monotonic() + CALM_SECONDS
        while (found := find_leftovers(redis)) and time.monotonic() < deadline:
            time.sleep(0.5)
        return found

    def _account(self, redis: Redis, leftovers: dict[str, int], drain_seconds: float) -> Findings:
        house, stream = self._house, self._stream
        stored = read_jobs(redis, list_all(redis))
        runs = read_runs(house.ledger.read_text().splitlines(), house.lives)
        lines = house.log_file.read_text().splitlines() if house.log_file.exists() else []
        effects = read_effects(runs, self._sink.taken, lines, stream.acknowledged, stored)
        tracebacks = count_tracebacks(sorted(house.folder.glob("*.log")))
        return Findings(
            seed=self._seed,
            minutes=self._seconds / 60,
            drain_seconds=drain_seconds,
            faults=self._faults.counts,
            missed=self._faults.missed,
            fault_times=self._faults.times,
            account=account_for(
                stream.acknowledged, stored, runs, effects, self._faults.disturbances, self._faults.unpaused
            ),
            mails=account_for_mails(stored, self._sink.taken),
            answers=stream.answers,
            resent=stream.resent,
            unknown=len(stream.unknown),
            most_waiting=self._most_waiting,
            exits=house.exits,
            orphans=sorted(house.orphans),
            leftovers=leftovers,
            tracebacks=list_unexpected(tracebacks),
            errors=self._faults.errors,
        )
