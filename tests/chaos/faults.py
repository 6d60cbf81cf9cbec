"""The faults: what is done to the house, drawn from a seed."""

import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from signal import SIGCONT, SIGINT, SIGKILL, SIGSTOP, SIGTERM

from tests.chaos.account import Disturbance
from tests.chaos.house import WORKERS, House, Kept
from tests.chaos.processes import find_named, read_tree
from tests.chaos.stream import Stream
from tests.support.processes import CHILD, RUNNER, send

# How often each comes beside the others; what keeps everything from working is rare.
WEIGHTS = {
    "worker and all its processes killed": 10,
    "runner killed": 10,
    "isolated child killed": 7,
    "supervisor killed": 8,
    "SIGTERM to all of a worker": 9,
    "SIGTERM to a supervisor": 4,
    "SIGTERM twice": 5,
    "SIGINT": 4,
    "worker frozen": 5,
    "runner frozen": 2,
    "Valkey restarted": 3,
    "Valkey killed": 3,
    "Valkey frozen": 3,
    "API killed": 5,
    "every connection cut": 5,
    "connection cut at a byte": 10,
    "worker cut off": 3,
    "failover": 4,
    "failover without a pause": 1,
    "rolling deploy": 3,
    "clock jump": 5,
    "job kills its process": 1.5,
    "job stuck in C": 1.5,
    "job swallows its timeout": 1.0,
}
JUMPS = ("-3h", "-30m", "-10s", "+0", "+10s", "+30m", "+3h")
DEPLOY_SECONDS = 20.0  # how long one process may take to be there again
LOOK_SECONDS = 1.0  # how long a fault waits for its victim


@dataclass(frozen=True)
class Draw:
    """One fault as it was drawn; `severity` and `coin` lie between 0 and 1."""

    kind: str
    worker: int
    severity: float
    coin: float

    def take_seconds(self, shortest: float, longest: float) -> float:
        """Return a time that is mostly short."""
        return shortest + (longest - shortest) * self.severity**3


class Faults:
    """Strikes one fault after another, every `mean_seconds` or so; those that take longer overlap."""

    def __init__(self, house: House, stream: Stream, seed: int, mean_seconds: float, only: str = "") -> None:
        self._house, self._stream, self._mean_seconds = house, stream, mean_seconds
        self._weights = {kind: weight for kind, weight in WEIGHTS.items() if only in kind}
        self._dice = random.Random(seed)
        self._deploying = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.counts: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.disturbances: list[Disturbance] = []
        self.unpaused: list[float] = []  # when a failover may have lost what the replica had not yet
        self.errors: list[str] = []
        self.times: list[float] = []
        self.log = (house.folder / "faults").open("a", buffering=1)

    def run(self, seconds: float, limit: int | None, is_over: Callable[[], bool]) -> None:
        """Strike until the time is over, `limit` faults have struck or `is_over`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not is_over():
            if limit is not None and self.counts.total() >= limit:
                return
            draw = self._draw()
            gap = self._mean_seconds * self._dice.uniform(0.4, 1.6)
            thread = threading.Thread(target=self._strike, args=(draw,), daemon=True)
            thread.start()
            self._threads = [other for other in self._threads if other.is_alive()] + [thread]
            time.sleep(gap)

    def finish(self) -> None:
        """Wait until every fault is over."""
        for thread in self._threads:
            thread.join(60)

    def _draw(self) -> Draw:
        """Draw a fault; every one takes as many numbers, so that a seed gives the same faults."""
        kind = self._dice.choices(list(self._weights), list(self._weights.values()))[0]
        return Draw(kind, self._dice.randrange(WORKERS), self._dice.random(), self._dice.random())

    def _strike(self, draw: Draw) -> None:
        at = time.time()
        try:
            struck = self._kinds()[draw.kind](draw)
        except Exception:  # a fault of this program, not of what it tests
            self.errors.append(traceback.format_exc())
            return
        (self.counts if struck else self.missed)[draw.kind] += 1
        if struck:
            self.times.append(at)
            self.log.write(f"{at:.3f} {time.time() - at:.1f} s {draw.kind}, worker {draw.worker}\n")

    def _kinds(self) -> dict[str, Callable[[Draw], bool]]:
        return {
            "worker and all its processes killed": lambda draw: self._end_worker(draw, SIGKILL, all=True),
            "runner killed": lambda draw: self._kill_below(draw, RUNNER),
            "isolated child killed": lambda draw: self._kill_below(draw, CHILD),
            "supervisor killed": lambda draw: self._end_worker(draw, SIGKILL, all=False),
            "SIGTERM to all of a worker": lambda draw: self._end_worker(draw, SIGTERM, all=True),
            "SIGTERM to a supervisor": lambda draw: self._end_worker(draw, SIGTERM, all=False),
            "SIGTERM twice": self._end_worker_twice,
            "SIGINT": lambda draw: self._end_worker(draw, SIGINT, all=draw.coin < 0.5),
            "worker frozen": lambda draw: self._freeze(draw, read_tree(self._worker(draw).pid)),
            "runner frozen": lambda draw: self._freeze(draw, find_named(self._worker(draw).pid, RUNNER)),
            "Valkey restarted": lambda draw: self._end_valkey(draw, kill=False),
            "Valkey killed": lambda draw: self._end_valkey(draw, kill=True),
            "Valkey frozen": self._freeze_valkey,
            "API killed": self._kill_api,
            "every connection cut": self._cut_all,
            "connection cut at a byte": self._cut_at_a_byte,
            "worker cut off": self._cut_off,
            "failover": lambda draw: self._fail_over(is_paused=True),
            "failover without a pause": lambda draw: self._fail_over(is_paused=False),
            "rolling deploy": self._deploy,
            "clock jump": self._jump,
            "job kills its process": lambda draw: self._order("poison"),
            "job stuck in C": lambda draw: self._order("stuck in C"),
            "job swallows its timeout": lambda draw: self._order("swallowing"),
        }

    def _worker(self, draw: Draw) -> Kept:
        return self._house.workers[draw.worker]

    def _end_worker(self, draw: Draw, signal: int, all: bool) -> bool:
        worker = self._worker(draw)
        pids = read_tree(worker.pid)
        if not pids:
            return False
        worker.note_cause(draw.kind)
        send(pids if all else pids[:1], signal)
        return True

    def _end_worker_twice(self, draw: Draw) -> bool:
        pid = self._worker(draw).pid
        if not self._end_worker(draw, SIGTERM, all=True):
            return False
        time.sleep(0.2 + draw.severity * 2)
        if self._worker(draw).pid == pid:  # not one that was started meanwhile
            send(read_tree(pid), SIGTERM)
        return True

    def _kill_below(self, draw: Draw, name: str) -> bool:
        """Kill one process of a worker, the one that was drawn first and the others where it has none."""
        deadline = time.monotonic() + LOOK_SECONDS
        while time.monotonic() < deadline:
            for number in range(WORKERS):
                found = find_named(self._house.workers[(draw.worker + number) % WORKERS].pid, name)
                if found:
                    send([found[int(draw.coin * len(found))]], SIGKILL)
                    return True
            time.sleep(0.02)
        return False

    def _freeze(self, draw: Draw, pids: list[int]) -> bool:
        if not pids:
            return False
        since = time.time()
        send(pids, SIGSTOP)
        time.sleep(draw.take_seconds(1, 20))
        send(pids, SIGCONT)
        self.disturbances.append(Disturbance(draw.worker, since, time.time()))
        return True

    def _end_valkey(self, draw: Draw, kill: bool) -> bool:
        servers = self._house.servers
        if not servers.busy.acquire(blocking=False):
            return False
        try:
            if kill:
                send([servers.primary.pid], SIGKILL)
            servers.primary.stop()
            time.sleep(draw.take_seconds(0.5, 15))
            servers.start_primary()
        finally:
            servers.busy.release()
        return True

    def _freeze_valkey(self, draw: Draw) -> bool:
        servers = self._house.servers
        if not servers.busy.acquire(blocking=False):
            return False
        try:
            pid = servers.primary.pid
            send([pid], SIGSTOP)
            time.sleep(draw.take_seconds(0.5, 8))
            send([pid], SIGCONT)
        finally:
            servers.busy.release()
        return True

    def _fail_over(self, is_paused: bool) -> bool:
        servers = self._house.servers
        if not servers.busy.acquire(blocking=False):
            return False
        try:
            if not is_paused:
                self.unpaused.append(time.time())
            return servers.fail_over(is_paused)
        finally:
            servers.busy.release()

    def _deploy(self, draw: Draw) -> bool:
        """Replace workers and API one by one, in any order, by those of the other release."""
        if not self._deploying.acquire(blocking=False):
            return False
        try:
            house = self._house
            release = 1 - house.api.release
            processes = [house.workers[(draw.worker + nth) % WORKERS] for nth in range(WORKERS)]
            processes.insert(int(draw.coin * (WORKERS + 1)), house.api)
            for kept in processes:
                house.deploy(kept, release)
                deadline = time.monotonic() + DEPLOY_SECONDS
                while not kept.is_ready() and time.monotonic() < deadline:
                    time.sleep(0.1)
        finally:
            self._deploying.release()
        return True

    def _jump(self, draw: Draw) -> bool:
        """Set the clock of a worker's host, or of the API's."""
        kept = self._house.kept[int(draw.coin * len(self._house.kept))]
        kept.clock.write_text(f"{JUMPS[int(draw.severity * len(JUMPS))]}\n")
        return True

    def _kill_api(self, draw: Draw) -> bool:
        api = self._house.api
        if not api.pid:
            return False
        api.note_cause(draw.kind)
        send([api.pid], SIGKILL)
        return True

    def _cut_all(self, draw: Draw) -> bool:
        for proxy in self._house.proxies:
            proxy.reset()
        return True

    def _cut_at_a_byte(self, draw: Draw) -> bool:
        """Cut a worker's connection, or the API's, somewhere in what it says or hears next."""
        proxy = self._house.proxies[int(draw.coin * len(self._house.proxies))]
        proxy.cut_after(to_server=draw.worker > 0, bytes=int(draw.severity * 3000))
        return True

    def _cut_off(self, draw: Draw) -> bool:
        """Let a worker's connections hang, half open."""
        since = time.time()
        self._house.proxies[draw.worker].stall()
        time.sleep(draw.take_seconds(1, 20))
        self._house.proxies[draw.worker].go_on(keep=draw.coin < 0.5)
        self.disturbances.append(Disturbance(draw.worker, since, time.time(), "cut off"))
        return True

    def _order(self, shape: str) -> bool:
        self._stream.order(shape)
        return True
