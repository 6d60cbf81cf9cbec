"""Two versions of the code side by side: the one of a commit, out of git's history, and the one that is here."""

import io
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.support.project import IGNORED, ROOT
from tests.support.project import copy_project as copy_application
from tests.support.receivers import SECRET, Receiver
from tests.support.services import Process, Services
from tests.support.sinks import ScriptedSink
from tests.support.waiting import wait_until
from tests.upgrade.stored import list_fields, trim

BEFORE = "45aff20"  # the version before this one; a release moves it to the commit of the one that went out
OLDEST = "e6e9af9"  # the code before it was a library, whose records are in e6e9af9.json
SIDES = Path(__file__).parent / "sides"
MAIL = {"subject": "Hello", "text": "It works."}
HOOKS = {"WEBHOOK_SECRETS": SECRET, "WEBHOOK_ALLOW_PRIVATE": "1"}
FACTORY, HTTP = re.compile(r" --factory (\S+)"), re.compile(r" --http (\S+)")


def export_commit(commit: str, folder: Path) -> Path:
    """Write a commit's files into a folder. Skips the test without git, or where the commit is not there: in a shallow
    clone, say.
    """
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "archive", commit]  # whoever owns the clone
    try:
        archive = subprocess.run(git, capture_output=True)
    except FileNotFoundError:
        pytest.skip("git is not there, and so no code of the version before")
    if archive.returncode:
        pytest.skip(f"{commit} is not in the history that is here: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


class Release(Services):
    """One version: its own folder, from which its code comes, its own API and its workers. `code` is where its code is.

    Both run on what is installed here: what a version asks for is among that.
    """

    def __init__(self, folder: Path, code: Path, environment: dict[str, str]) -> None:
        shutil.copytree(SIDES, folder / "jobs", dirs_exist_ok=True, ignore=IGNORED)
        (folder / "logs").mkdir()
        super().__init__(folder, environment, folder / "logs")
        self.code = code
        procfile = (folder / "Procfile").read_text()
        found, http = FACTORY.search(procfile), HTTP.search(procfile)
        assert found
        self.factory, self.http = found[1], http[1] if http else "auto"
        self.ledger = ""
        self.types = ["left", "right"]  # what tests.faults.test_rolling_deploy.Load posts

    def build_payload(self, type: str, number: int) -> dict[str, Any]:
        then = "" if number % 10 else "linger"  # so that workers have jobs in hand when they are stopped
        return {"ledger": self.ledger, "name": f"{type}-{number}", "then": then}


@dataclass
class Pair:
    """Both versions over one server. `posted` are the names of jobs in the ledger, by id."""

    old: Release
    new: Release
    redis: Redis
    sink: ScriptedSink
    receiver: Receiver
    ledger: Path
    posted: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.old.ledger = self.new.ledger = str(self.ledger)

    def start_apis(self) -> None:
        for release in (self.old, self.new):
            release.start_api(**HOOKS)

    def start_worker(self, release: Release, *queues: str, **environment: str) -> Process:
        return release.start_ready_worker(*queues, **HOOKS, **environment)

    def post(self, api: Release, type: str, query: str = "", then: str = "") -> str:
        """Post a job that writes to the ledger, under a name of its own; return its id."""
        name = f"{type}-by-{api.code.name}-{len(self.posted)}"
        id = api.post(type, {"ledger": str(self.ledger), "name": name, "then": then}, query)
        self.posted[id] = name
        return id

    def open_gate(self) -> None:
        """Let the jobs that hold end."""
        self.ledger.with_suffix(".open").touch()

    def read_ledger(self) -> list[tuple[str, str, str]]:
        """Return (start or end, whose name, the file that runs it) of all that ran."""
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return [(word, name, code) for word, name, code in map(str.split, lines)]

    def count(self, id: str) -> tuple[int, int]:
        """Return how often a job started, and how often it came to its end."""
        lines = [(word, name) for word, name, _ in self.read_ledger()]
        return lines.count(("start", self.posted[id])), lines.count(("end", self.posted[id]))

    def wait_for_start(self, id: str) -> None:
        wait_until(lambda: self.count(id)[0])

    def name_code(self, id: str) -> set[Release]:
        """Return whose code ran a job."""
        files = [Path(code) for _, name, code in self.read_ledger() if name == self.posted[id]]
        both = (self.old, self.new)
        return {release for release in both for file in files if file.is_relative_to(release.code)}

    def read_alike(self, id: str) -> dict[str, Any]:
        """Return a job as the new API shows it; the old one has to show the same, except for fields that are new."""
        old, new = self.old.read(id), self.new.read(id)
        assert trim(new, list_fields(old)) == trim(old)
        return new

    def assert_nothing_is_left(self) -> None:
        """No queue, lease or registry of running jobs holds anything."""
        patterns = ("rq:queue:*", "rq:wip:*", "errand:leases", "errand:parked*", "rq:scheduled:*", "rq:deferred:*")
        wait_until(lambda: not [key for pattern in patterns for key in self.redis.keys(pattern)])

    def stop(self) -> None:
        for release in (self.old, self.new):
            release.stop()
        self.receiver.stop()


def build_pair(commit: str, environment: dict[str, str], redis: Redis, sink: ScriptedSink, folder: Path) -> Pair:
    """Make both versions' folders; nothing is started."""
    before, now = folder / "before", folder / "now"
    export_commit(commit, before)
    copy_application(now)
    old = Release(before, before, environment)
    new = Release(now, ROOT / "errand", environment)
    return Pair(old, new, redis, sink, Receiver(), folder / "ledger.txt")
