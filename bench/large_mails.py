"""Mails of 5 MB through the API, the bundled Valkey and one worker: how much memory each has, and how long it takes.

    python -m bench.large_mails --mails 100 --megabytes 5 --clients 4

Mails are posted as room allows: a 503 is waited out and sent again. Exits with 1 where a process had more than 250 MB.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench.processes import list_tree, read_name, read_peak_bytes
from errand.local.valkey import EmbeddedValkey, find_free_port
from tests.support.servers import find_fast_folder
from tests.support.services import Services
from tests.support.waiting import wait_until

LIMIT_MB = 250  # what docs/payloads.md promises
ROOT = Path(__file__).parent.parent


class Sink(asyncio.Protocol):
    """A mail server that takes everything, and keeps a count of it."""

    mails = 0

    def connection_made(self, transport: Any) -> None:
        """Greet."""
        self.transport, self.is_data, self.tail = transport, False, b""
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer each command, and each message as a whole."""
        self.tail += data
        if self.is_data:
            if self.tail.endswith(b"\r\n.\r\n"):
                Sink.mails += 1
                self.is_data, self.tail = False, b""
                self.transport.write(b"250 taken\r\n")
            else:
                self.tail = self.tail[-5:]
            return
        while b"\r\n" in self.tail and not self.is_data:
            line, _, self.tail = self.tail.partition(b"\r\n")
            self.is_data = line.upper() == b"DATA"
            self.transport.write(b"354 go on\r\n" if self.is_data else b"250 ok\r\n")


@contextmanager
def run_sink() -> Iterator[str]:
    """Run the mail server in a thread; yield its URL."""
    loop, port = asyncio.new_event_loop(), find_free_port()
    server = loop.run_until_complete(loop.create_server(Sink, "127.0.0.1", port))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield f"smtp://127.0.0.1:{port}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()


def build_mail(number: int, megabytes: float) -> bytes:
    """Return a mail of its own, as JSON; what is attached is base64."""
    content = b64encode(os.urandom(int(megabytes * 2**20))).decode()
    mail: dict[str, Any] = {"to": ["ada@example.com"], "subject": f"Report {number}", "text": "Attached."}
    mail["attachments"] = [{"filename": "report.pdf", "content": content}]
    return json.dumps(mail).encode()


def post(address: str, body: bytes, counts: dict[str, int]) -> str:
    """Post a mail, again and again while there is no room; return its job's id."""
    while True:
        connection = HTTPConnection(address, timeout=60)
        connection.request("POST", "/v1/jobs/email", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        found = json.loads(answer.read())
        connection.close()
        if answer.status == 202:
            return str(found["id"])
        if answer.status != 503:
            raise SystemExit(f"{answer.status}: {found}")
        name = found["type"].rpartition(":")[2]
        counts[name] = counts.get(name, 0) + 1
        time.sleep(float(answer.headers["Retry-After"]) / 4)


def main() -> None:
    """Post the mails, wait until all are sent, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mails", type=int, default=100)
    parser.add_argument("--megabytes", type=float, default=5)
    parser.add_argument("--clients", type=int, default=4)
    given = parser.parse_args()
    counts: dict[str, int] = {}
    with tempfile.TemporaryDirectory(dir=find_fast_folder()) as name, run_sink() as smtp_url:
        folder = Path(name)
        valkey = EmbeddedValkey(folder / "v")
        valkey.start()
        environment = {
            **{key: os.environ[key] for key in os.environ if key.startswith(("MALLOC_", "PYTHONMALLOC", "PATH"))},
            "REDIS_URL": valkey.url,
            "SMTP_URL": smtp_url,
            "MAIL_FROM": "errand@example.com",
            "LOG_URL": f"file:{folder}/log.txt",
            "ERRAND_LOCAL": "1",
        }
        services = Services(ROOT, environment, folder)
        try:
            address = services.start_api().removeprefix("http://")
            worker = services.start_worker()
            begun = time.monotonic()
            ids: list[str] = []
            numbers = iter(range(given.mails))

            def send() -> None:
                for number in numbers:
                    ids.append(post(address, build_mail(number, given.megabytes), counts))

            clients = [threading.Thread(target=send) for _ in range(given.clients)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            posted = time.monotonic()
            wait_until(lambda: Sink.mails >= given.mails, 300)
            ended = time.monotonic()
            for id in ids:
                assert services.wait_for(id)["status"] == "finished"
            pids = [services.processes[0].pid, *list_tree(worker.pid)]
            peaks = [(read_name(pid), read_peak_bytes(pid) / 2**20) for pid in pids]
        finally:
            services.stop()
            valkey.stop()
    print(
        f"{given.mails} mails of {given.megabytes:g} MB by {given.clients} clients: posted in {posted - begun:.1f} s,"
    )
    print(f"sent in {ended - begun:.1f} s; answers besides 202: {counts or 'none'}")
    for name, megabytes in peaks:
        print(f"  {name:<16} {megabytes:6.0f} MB at most")
    sys.exit(any(megabytes > LIMIT_MB for _, megabytes in peaks))


if __name__ == "__main__":
    main()
