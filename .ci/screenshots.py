"""`make screenshots`: the console's main pages as pictures for the docs, from work that is always the same.

Runs `errand up` on a copy of the project with the job files of screenshots/, posts jobs of each kind, and takes each
page in the light, in the dark and as wide as a telephone, with Debian's chromium, into docs/images/console/. A page
that is not there is left out. WebP: a third of the size of a PNG.
"""

import base64
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright
from redis import Redis

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from errand.local.valkey import find_free_port  # noqa: E402
from errand.redis import keys  # noqa: E402

JOBS = ROOT / ".ci/screenshots"
IMAGES = ROOT / "docs/images/console"
LOOKS = {"light": ("light", 1280), "dark": ("dark", 1280), "small": ("light", 360)}
HEIGHTS = {1280: 1000, 360: 760}  # by width: the most of a page that a picture shows
QUALITY = 88  # of WebP: the text of a page is still sharp
SWITCHES = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
RUNS = 50  # of a schedule, as many as are kept
PEOPLE = ("Ada", "Grace", "Katherine", "Hedy", "Mary", "Barbara", "Radia", "Frances", "Jean", "Annie", "Joan", "Karen")
Paths = dict[str, str]


def main() -> None:
    """Take all pictures."""
    with run_up() as world:
        paths = world.store()
        IMAGES.mkdir(parents=True, exist_ok=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=SWITCHES)
            for look, (scheme, width) in LOOKS.items():
                _take_all(browser, world.url, paths, look, scheme, width)
            browser.close()
    pictures = sorted(IMAGES.glob("*.webp"))
    print(f"{len(pictures)} pictures, {sum(path.stat().st_size for path in pictures) / 2**20:.2f} MB, in {IMAGES}")


def _take_all(browser: Browser, url: str, paths: Paths, look: str, scheme: Any, width: int) -> None:
    context = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": HEIGHTS[width]},
        color_scheme=scheme,
        timezone_id="Europe/Paris",
        locale="en-GB",
        reduced_motion="reduce",
    )
    page = context.new_page()
    for name, path in paths.items():
        answer = page.goto(path)
        if answer is None or answer.status != 200:
            print(f"{name}: {path} is not there")
            continue
        expect(page.locator("#connection")).to_have_text("Live")
        with suppress(AssertionError):  # a page without charts
            expect(page.locator("#charts canvas")).to_have_count(2, timeout=3000 if name == "overview" else 1)
        _take(page, IMAGES / f"{name}-{look}.webp")
    context.close()


def _take(page: Page, path: Path) -> None:
    width, height = page.viewport_size["width"], page.evaluate("document.querySelector('main').scrollHeight + 64")
    page.set_viewport_size({"width": width, "height": min(HEIGHTS[width], height)})
    page.wait_for_timeout(200)  # charts are drawn anew
    session = page.context.new_cdp_session(page)
    taken = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    path.write_bytes(base64.b64decode(taken["data"]))


@contextmanager
def run_up() -> Iterator["World"]:
    """Run `errand up` on a copy of the project until the block ends."""
    project, port = Path(tempfile.gettempdir(), "harbour"), find_free_port()  # tracebacks show its name
    _copy_project(project)
    command = [sys.executable, "-m", "service", "up", "--port", f"{port}", "--workers", "2"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}", "PYTHONUNBUFFERED": "1"}
    with (project / "up.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log)
    try:
        world = World(f"http://127.0.0.1:{port}", project / f".errand-{port}/valkey/valkey.sock")
        wait_until(lambda: world.is_ready() or process.poll() is not None, 60)
        if process.poll() is not None:
            sys.exit((project / "up.log").read_text())
        yield world
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        shutil.rmtree(project)


def _copy_project(project: Path) -> None:
    project.mkdir()
    for name in ("service", "jobs", "templates"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in JOBS.glob("*.py"):
        shutil.copy(path, project / "jobs")
    shutil.copy(ROOT / "worker.py", project)


def wait_until(condition: Callable[[], object], seconds: float) -> None:
    """Wait for a condition. Raises TimeoutError."""
    ends_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends_at:
            raise TimeoutError
        time.sleep(0.2)


class World:
    """The API, and the Redis behind it."""

    def __init__(self, url: str, socket: Path) -> None:
        self.url = url
        self._redis = Redis(unix_socket_path=f"{socket}")
        self._dice = random.Random(18)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request; return the answer's JSON."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")

    def is_ready(self) -> bool:
        """Return whether it takes jobs."""
        with suppress(OSError):
            return bool(self.call("GET", "/readyz"))
        return False

    def post(self, type: str, query: str = "", **payload: Any) -> str:
        """Post a job; return its id."""
        return str(self.call("POST", f"/v1/jobs/{type}{query}", payload)["id"])

    def store(self) -> Paths:
        """Store work of each kind; return the pages to take, by name."""
        self._write_history()
        pictures = [{"picture": f"harbour-{number}.jpg"} for number in range(1, 361)]
        batch = self.call("POST", "/v1/batches/thumbnail?tag=gallery", {"items": pictures})["id"]
        self.call("POST", "/v1/queues/reports/pause")
        self._store_schedules()
        self._store_mails()
        self.post("log", "?delay_seconds=5400", text="Remind the press")
        invoice = self._store_failures()
        film = self.post("video", "?tag=launch&tag=press", title="Launch film", frames=1200, done=412)
        self.post("log", f"?after={film}&tag=launch", text="The launch film is ready")
        self.post("video", "?tag=launch", title="Teaser", frames=400, done=301)
        self.post("item", item_id=7)
        wait_until(lambda: self.call("GET", f"/v1/jobs/{invoice}")["status"] == "failed", 30)
        wait_until(lambda: self.call("GET", f"/v1/batches/{batch}")["finished"] >= 90, 60)
        wait_until(lambda: self._redis.exists(keys.TALLY_ROLLED_UP), 60)
        return {
            "overview": "/console",
            "jobs": "/console/jobs",
            "job": f"/console/jobs/{invoice}",
            "progress": f"/console/jobs/{film}",
            "batch": f"/console/batches/{batch}",
            "schedule": "/console/schedules/backup",
            "mail": self._find_mail(),
        }

    def _store_failures(self) -> str:
        lines = [{"article": "A-17", "count": 2, "price": "12.50"}, {"article": "B-4", "count": 1, "price": "99.00"}]
        for _ in range(4):
            last = self.post("invoice", "?tag=october", customer="4712", lines=lines)
        for customer in ("4711", "4713", "4719"):
            self.post("crm", customer=customer)
        return last

    def _store_mails(self) -> None:
        for name in PEOPLE:
            template = {
                "id": "welcome",
                "variables": {"name": name, "product": "Harbour", "link": "https://example.com/"},
            }
            self.post("email", "?tag=welcome", to=f"{name.lower()}@example.com", template=template)
        items = [{"name": "Sea chart", "price": "€ 24.00"}, {"name": "Tide table", "count": 2, "price": "€ 18.00"}]
        order = {"order": "1042", "name": "Ada", "date": "29 November", "items": items, "total": "€ 42.00"}
        wait_until(lambda: not self.call("GET", "/v1/jobs?type=email&status=queued")["items"], 30)
        self.post("email", to="ada@example.com", template={"id": "receipt", "variables": order})

    def _find_mail(self) -> str:
        """Return the path of the newest mail's page, where there are such pages."""
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/console/mail") as answer:  # noqa: S310
            found = re.search(r'href="(/console/mail/\d+)"', answer.read().decode())
            return found[1] if found else "/console/mail"
        return "/console/mail"

    def _store_schedules(self) -> None:
        hourly = {"type": "backup", "payload": {"keep_days": 30}, "every_seconds": 3600}
        weekly = {
            "type": "log",
            "payload": {"text": "Send the digest"},
            "cron": "0 8 * * 1",
            "timezone": "Europe/Paris",
        }
        for name, schedule in {"backup": hourly, "digest": weekly}.items():
            self.call("PUT", f"/v1/schedules/{name}", schedule)
        self.call("POST", "/v1/schedules/digest/pause")
        self.call("POST", "/v1/schedules/backup/run")
        key = keys.SCHEDULE + "backup"
        batch, last = (self._redis.hget(key, "batch") or b"").decode(), int(time.time()) // 3600 * 3600
        for number in range(RUNS):
            due_at, id = last - number * 3600, f"{self._dice.getrandbits(128):032x}"
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(due_at + 1))
            id = f"{id[:8]}-{id[8:12]}-4{id[13:16]}-8{id[17:20]}-{id[20:]}"
            run = {"slot": due_at, "at": at, "job": id}
            if number == 31:
                run = {"slot": due_at, "at": at, "status": "missed", "detail": "no worker was there"}
            self._redis.rpush(key + keys.RUNS, json.dumps(run))
            self._redis.hset(keys.BATCH + batch, id, "failed" if number in (8, 9, 40) else "finished")

    def _write_history(self) -> None:
        """Count ends of the last hour as the workers count them, and let these be added up again."""
        now = int(time.time()) // 60
        for minute in range(now - 60, now):
            wave = 1 + math.sin(minute % 60 / 9) / 2
            for type, most, wait, run in (("email", 40, 3, 6), ("thumbnail", 60, 5, 5), ("video", 2, 8, 12)):
                count = round(most * wave * self._dice.uniform(0.7, 1.3))
                for name, share, slower in (("finished", 0.7, 0), ("finished", 0.3, 2), ("failed", 0.02, 1)):
                    self._redis.hincrby(
                        f"{keys.TALLY}{minute}", f"{type}|{wait + slower}|{run + slower}|{name}", round(count * share)
                    )
        self._redis.delete(keys.TALLY_ROLLED_UP)


if __name__ == "__main__":
    main()
