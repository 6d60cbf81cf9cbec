"""`python -m bench.attacks [--http PROTOCOL] [--loop LOOP]`: how long `/livez` takes while somebody attacks the API.

Each attack comes from a process of its own, without a key; beside it `/livez` is asked 20 times a second over
connections of its own. «Left open» are the attacker's connections that the API has not closed after 15 seconds.
"""

import argparse
import multiprocessing
import os
import resource
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from errand.local.child_process import die_with_parent
from errand.local.valkey import find_free_port

MB = 1_000_000
SECONDS = 15.0  # five more than a head may take (errand/api/bounds.py)
FACTORY = "service.app:from_environment"
START = b"POST /v1/jobs/log HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


def connect(port: int) -> socket.socket:
    """Return a connection to the API."""
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def send(port: int, first: bytes, filler: bytes, size_bytes: int) -> list[socket.socket]:
    """Send a beginning and so many bytes behind it, as fast as the API takes them."""
    peer = connect(port)
    with suppress(OSError):
        peer.sendall(first)
        for _ in range(size_bytes // len(filler)):
            peer.sendall(filler)
    return [peer]


def open_many(port: int, count: int, begun: bytes) -> list[socket.socket]:
    """Open connections that begin a request and go on no further."""
    peers = []
    for _ in range(count):
        with suppress(OSError):
            peer = connect(port)
            peers.append(peer)
            peer.sendall(begun)
    return peers


def pipeline(port: int, count: int) -> list[socket.socket]:
    """Send requests without reading an answer."""
    peers = [connect(port) for _ in range(count)]
    for peer in peers:
        peer.setblocking(False)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        for peer in select.select([], peers, [], 0.1)[1]:
            with suppress(OSError):
                peer.send(GET * 10_000)
    return peers


def flood(port: int, count: int, begun: bytes) -> list[socket.socket]:
    """Begin requests and send more of each, as fast as the API takes it."""
    peers = open_many(port, count, begun)
    for peer in peers:
        peer.setblocking(False)
    sent, filler = 0, b"x" * 65536
    while peers and sent < count * LONG:
        for peer in select.select([], peers, [], 0.1)[1]:
            try:
                sent += peer.send(filler)
            except OSError:
                peers.remove(peer)
    return peers


def dribble(port: int, count: int, begun: bytes) -> list[socket.socket]:
    """Begin requests and send a byte of each a second."""
    peers = open_many(port, count, begun)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for peer in peers:
            with suppress(OSError):
                peer.send(b"x")
        time.sleep(1)
    return peers


LONG = 80 * MB  # more than any buffer between attacker and API takes
ATTACKS: dict[str, Callable[[int], list[socket.socket]]] = {
    "nothing": lambda port: [],
    "header of 80 MB": lambda port: send(port, START + b"X-Long: ", b"x" * 65536, LONG),
    "request line of 80 MB": lambda port: send(port, b"GET /", b"x" * 65536, LONG),
    "80 MB of headers": lambda port: send(port, START, b"X-Short: 12345\r\n" * 4096, LONG),
    "trailer of 80 MB": lambda port: send(port, CHUNKED + b"2\r\n{}\r\n0\r\nX-Long: ", b"x" * 65536, LONG),
    "chunk extension of 80 MB": lambda port: send(port, CHUNKED + b"2;", b"x" * 65536, LONG),
    "80 MB after an Upgrade": lambda port: send(
        port, b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", b"x" * 65536, LONG
    ),
    "200 half-sent heads": lambda port: open_many(port, 200, b"GET / HTTP/1.1\r\nHost:"),
    "200 silent connections": lambda port: open_many(port, 200, b""),
    "200 half-sent bodies": lambda port: open_many(port, 200, START + b"Content-Length: 100\r\n\r\n{"),
    "200 heads by the drop": lambda port: dribble(port, 200, b"GET / HTTP/1.1\r\nHost:"),
    "200 bodies by the drop": lambda port: dribble(port, 200, START + b"Content-Length: 100000\r\n\r\n{"),
    "50 connections that pipeline": lambda port: pipeline(port, 50),
    "50 headers of 80 MB": lambda port: flood(port, 50, START + b"X-Long: "),
    "100 under ulimit -n 64": lambda port: open_many(port, 100, b"GET / HTTP/1.1\r\nHost:"),
}


@contextmanager
def serve(http: str, loop: str, files: int | None) -> Iterator[int]:
    """Run the API until the block ends; give its port. Redis is not there: `/livez` does not ask for it."""
    port = find_free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--factory",
        FACTORY,
        "--port",
        str(port),
        "--http",
        http,
        "--loop",
        loop,
    ]
    environment = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1", "API_KEYS": f"x:{'0' * 64}"}

    def prepare() -> None:
        die_with_parent()
        if files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, preexec_fn=prepare)
        try:
            while probe(port)[0] != "200":
                time.sleep(0.1)
            yield port
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()
            print(f"      log {log.seek(0, os.SEEK_END):,} bytes", flush=True)


def probe(port: int) -> tuple[str, float]:
    """Ask `/livez`; return its status, or what went wrong, and the seconds that it took."""
    began, said = time.monotonic(), "?"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
            peer.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            said = peer.recv(4096)[9:12].decode() or "closed"
    except OSError as error:
        said = type(error).__name__
    return said, time.monotonic() - began


def attack(
    name: str, port: int, begun: "multiprocessing.synchronize.Event", pipe: "multiprocessing.connection.Connection"
) -> None:
    """Run an attack; send how many of its connections are open, and what was answered, when its time is over."""
    began = time.monotonic()
    begun.set()
    peers = ATTACKS[name](port)
    time.sleep(max(0.0, began + SECONDS - time.monotonic()))
    answers = Counter(map(hear, peers))
    pipe.send((time.monotonic() - began, dict(answers)))


def hear(peer: socket.socket) -> str:
    """Return the status that a connection was answered with, if any, and whether it is open still."""
    status = "none"
    peer.setblocking(False)
    try:
        while said := peer.recv(1 << 20):
            status = said[9:12].decode() if status == "none" else status
        return f"{status} closed"
    except BlockingIOError:
        return f"{status} OPEN"
    except OSError:
        return f"{status} reset"


def measure(name: str, http: str, loop: str) -> None:
    """Print what `/livez` took during an attack."""
    with serve(http, loop, 64 if "ulimit" in name else None) as port:
        begun, (mine, theirs) = multiprocessing.Event(), multiprocessing.Pipe()
        process = multiprocessing.Process(target=attack, args=(name, port, begun, theirs), daemon=True)
        process.start()
        begun.wait()
        took: list[tuple[str, float]] = []
        while process.is_alive() and not mine.poll():
            took.append(probe(port))
            time.sleep(0.05)
        _, answers = mine.recv()
        process.join()
    times = sorted(seconds for _, seconds in took)
    most, median, statuses = times[-1], times[len(times) // 2], dict(Counter(status for status, _ in took))
    print(
        f"{name:30} most {most * 1000:6.0f} ms  median {median * 1000:5.1f} ms  {statuses}  attacker: {answers}",
        flush=True,
    )


def main() -> None:
    """Run all attacks, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http", default="errand.api.bounds:Protocol")
    parser.add_argument("--loop", default="uvloop")
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    print(f"--http {given.http} --loop {given.loop}", flush=True)
    for name in [name for name in ATTACKS if not given.names or any(part in name for part in given.names)]:
        measure(name, given.http, given.loop)


if __name__ == "__main__":
    main()
