"""A worker as process 1, in a process namespace of its own, as in a container without an init."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from errand.local.valkey import find_free_port
from tests.support.project import ROOT
from tests.support.waiting import wait_until

UNSHARE = ("unshare", "--pid", "--fork", "--kill-child")

ORPHANS = """
import os, time
from errand.worker.processes.pid_one import reap_adopted

assert os.getpid() == 1
child = os.fork()
if child == 0:
    if os.fork() == 0:
        time.sleep(0.2)  # by then it is an orphan
    os._exit(3)
while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT):
    pass
reap_adopted({child})
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3, "our own child was reaped as an orphan"
deadline = time.monotonic() + 20
while time.monotonic() < deadline:
    reap_adopted(())
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        break
    time.sleep(0.02)
else:
    raise SystemExit("the orphan is a zombie")
"""


def can_unshare() -> bool:
    try:
        return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


pytestmark = pytest.mark.skipif(not can_unshare(), reason="needs unshare and the right to a process namespace (root)")


def find_child(pid: int) -> int | None:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else None


def test_process_1_reaps_orphans_and_leaves_its_own_children() -> None:
    done = subprocess.run(
        [*UNSHARE, sys.executable, "-c", ORPHANS], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_a_worker_that_is_process_1_stops_while_it_waits_for_redis(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "REDIS_URL": f"redis://127.0.0.1:{find_free_port()}/0",
        "SMTP_URL": "smtp://127.0.0.1:1?tls=none",
        "MAIL_FROM": "errand@example.com",
    }
    command = [*UNSHARE, sys.executable, "-m", "rq.cli", "worker", "-c", "worker", "-w", "worker.Worker"]
    log = tmp_path / "log"
    with log.open("w") as output:
        shell = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        wait_until(lambda: "the worker waits for it" in log.read_text(), 60)
        worker = find_child(shell.pid)
        assert worker
        os.kill(worker, signal.SIGTERM)
        assert shell.wait(20) == 128 + signal.SIGTERM
    finally:
        shell.kill()
        shell.wait()
