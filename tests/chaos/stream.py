"""The steady stream of posts: what was acknowledged is written down, what is unknown is sent again."""

import http.client
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.chaos.account import Acknowledged
from tests.chaos.shapes import POSTED, SHAPES, Numbers, Post, build

POSTERS = 6
TIMEOUT_SECONDS = 5.0
RESEND_SECONDS = 90.0  # how long an unknown post is sent again before it is given up
KEYED = 0.8  # how many of the posts carry an Idempotency-Key


@dataclass(frozen=True)
class Reply:
    """An HTTP answer; status 0 where none came."""

    status: int
    body: Any


class Stream:
    """Posts about `rate` jobs a second to 127.0.0.1:`port` until stopped."""

    def __init__(self, port: int, folder: Path, ledger: Path, rate: float, seed: int) -> None:
        self._port, self._ledger, self._rate, self._seed = port, ledger, rate, seed
        self._file = (folder / "acknowledged").open("a", buffering=1)
        self._lock = threading.Lock()
        self._ordered: list[str] = []
        self._stopping = threading.Event()
        self._held_back = False
        self.acknowledged: list[Acknowledged] = []
        self.unknown: list[Post] = []
        self.answers: Counter[str] = Counter()
        self.resent = 0
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(POSTERS)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def order(self, shape: str) -> None:
        """Let the next post be of this shape."""
        self._ordered.append(shape)

    def hold_back(self, hold: bool) -> None:
        """Post nothing for as long as there is too much waiting."""
        self._held_back = hold

    def stop(self) -> None:
        """End; what is unknown is still sent again for its time."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(RESEND_SECONDS + 2 * TIMEOUT_SECONDS)

    def _run(self, number: int) -> None:
        dice = random.Random(f"{self._seed}-{number}")
        numbers = Numbers(str(self._ledger), number + 1, POSTERS)
        caller = Caller(self._port)
        weights = [SHAPES[name].weight for name in POSTED]
        due = time.monotonic()
        while not self._stopping.is_set():
            name = self._ordered.pop() if self._ordered else dice.choices(POSTED, weights)[0]
            post = build(name, dice, numbers)
            self._send(caller, post, keyed=dice.random() < KEYED and post.path.startswith("/v1/"))
            due = max(due + len(post.numbers) * POSTERS / self._rate * dice.uniform(0.5, 1.5), time.monotonic() - 1)
            self._stopping.wait(max(0.0, due - time.monotonic()))
            while self._held_back and not self._stopping.is_set():
                time.sleep(0.1)

    def _send(self, caller: "Caller", post: Post, keyed: bool) -> None:
        """Post, with a key until it is acknowledged or refused, without one once."""
        headers = {"Idempotency-Key": str(uuid4())} if keyed else {}
        deadline = time.monotonic() + RESEND_SECONDS
        reply = caller.post(post, headers)
        self._count(reply)
        while keyed and reply.status in (0, 500, 503) and time.monotonic() < deadline:
            time.sleep(0.3)
            self.resent += 1
            reply = caller.post(post, headers)
            self._count(reply)
        if reply.status in (200, 202):
            self._acknowledge(post, reply.body)
        elif reply.status in (0, 500, 503):
            self.unknown.append(post)

    def _acknowledge(self, post: Post, body: Any) -> None:
        jobs = body.get("jobs", [body])
        ids = [job if isinstance(job, str) else job["id"] for job in jobs]
        now = time.time()
        with self._lock:
            for id, number in zip(ids, post.numbers, strict=True):
                self.acknowledged.append(Acknowledged(id, post.shape, number, now))
                self._file.write(f"{id} {number} {now:.3f} {post.shape}\n")

    def _count(self, reply: Reply) -> None:
        with self._lock:
            self.answers[str(reply.status or "none")] += 1


class Caller:
    """One kept connection to the API."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def post(self, post: Post, headers: dict[str, str]) -> Reply:
        """Send one request; return the answer, or that none came."""
        data = None if post.body is None else json.dumps(post.body)
        given = {"Content-Type": "application/json"} if data else {}
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
            self._connection.request("POST", post.path, data, {**given, **headers})
            answer = self._connection.getresponse()
            return Reply(answer.status, json.loads(answer.read()))
        except (OSError, http.client.HTTPException, ValueError):
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            time.sleep(0.2)
            return Reply(0, None)
