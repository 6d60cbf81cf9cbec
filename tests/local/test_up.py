"""`python -m service up` as a process: what it starts, says, refuses, and what is left when it ends."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from redis import Redis

from errand.local.valkey import EmbeddedValkey, find_free_port
from tests.local.conftest import Start
from tests.local.running import Running, read_place
from tests.support.processes import read_command, read_name
from tests.support.sinks import ScriptedSink
from tests.support.waiting import wait_until


@pytest.mark.quick
def test_it_says_where_everything_is(shared_up: Running) -> None:
    assert read_place(shared_up.output, "API") == shared_up.api.base_url
    assert read_place(shared_up.output, "Redis") == f"{shared_up.data}/valkey/ (Valkey, every write on disk)"
    mail = f"{shared_up.data}/mail/ (a local SMTP sink), shown at {shared_up.api.base_url}/console/mail"
    assert read_place(shared_up.output, "Mail") == mail
    assert read_place(shared_up.output, "Log lines") == "log.txt"
    assert read_place(shared_up.output, "Workers") == "1"


@pytest.mark.quick
def test_a_job_runs_and_its_line_is_in_log_txt(shared_up: Running) -> None:
    api = shared_up.api
    assert api.wait_for(api.post("log", {"text": "under errand up"}))["status"] == "finished"
    assert "under errand up" in (shared_up.folder / "log.txt").read_text()


@pytest.mark.quick
def test_a_mail_lands_in_the_sink(shared_up: Running) -> None:
    api = shared_up.api
    api.wait_for(api.post("email", {"to": "ada@example.com", "subject": "Landed", "text": "It works."}))
    assert any("Subject: Landed" in mail.read_text() for mail in (shared_up.data / "mail").glob("*.eml"))
    with urlopen(f"{shared_up.api.base_url}/console/mail") as page:
        assert ">Landed</a>" in page.read().decode()


@pytest.mark.quick
def test_what_the_processes_say_is_on_the_screen_and_in_errand_log(shared_up: Running) -> None:
    shared_up.api.call("GET", "/livez")
    wait_until(lambda: '"GET /livez HTTP/1.1" 200' in shared_up.output)
    assert '"GET /livez HTTP/1.1" 200' in (shared_up.data / "errand.log").read_text()


@pytest.mark.quick
def test_a_taken_port_is_a_clear_error_that_names_the_next_one(shared_up: Running, start: Start) -> None:
    second = start("--port", str(shared_up.port))
    assert second.process.wait(20) == 1
    assert second.output.splitlines() == [
        f"errand: port {shared_up.port} on 127.0.0.1 can't be used: Address already in use; "
        f"choose another: make demo PORT={shared_up.port + 1}"
    ]


def test_a_data_folder_in_use_is_an_error_that_says_how_to_have_another(shared_up: Running, start: Start) -> None:
    second = start("--data", str(shared_up.data))
    assert second.process.wait(20) == 1
    assert f"another Errand is running in {shared_up.data}/" in second.output
    assert f"--data {shared_up.data}-{second.port}" in second.output


def test_a_data_folder_that_cannot_be_made_is_an_error_of_one_line(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = start("--data", str(tmp_path / "file" / "data"))
    assert refused.process.wait(20) == 1
    assert refused.output == f"errand: the data folder {tmp_path}/file/data/ can't be used: Not a directory\n"


def test_two_run_side_by_side(shared_up: Running, start: Start) -> None:
    other = start().wait_until_ready()
    id = other.api.post("echo", {"value": 2})
    assert other.api.wait_for(id)["result"] == 2
    assert shared_up.api.call("GET", f"/v1/jobs/{id}").status == 404
    assert other.end() == 0
    other.assert_all_gone()
    assert shared_up.api.call("GET", "/readyz").status == 200


def test_without_a_standard_input_it_runs_as_with_one(start: Start) -> None:
    up = start(before="import os, sys\nos.close(0)\nsys.stdin = None").wait_until_ready()
    assert up.api.wait_for(up.api.post("echo", {"value": 2}))["result"] == 2
    assert up.end() == 0
    up.assert_all_gone()


SHORT_GRACE = "from errand.local import up\nup.GRACE_SECONDS = 1.0"


@pytest.fixture(scope="module")
def killed_up(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One `errand up` whose processes are killed, one a test."""
    running = Running(project, tmp_path_factory.mktemp("killed")).wait_until_ready()
    yield running
    running.clean_up()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_ends_with_0_and_leaves_no_process(start: Start, number: int) -> None:
    up = start().wait_until_ready()
    assert len(up.descendants()) >= 4
    assert up.end(number) == 0
    up.assert_all_gone()
    assert up.output.endswith("Stopped.\n")


def test_ctrl_c_lets_a_running_job_end_and_leaves_no_process(start: Start, valkey: EmbeddedValkey) -> None:
    up = start(REDIS_URL=valkey.url).wait_until_ready()
    id = up.api.post("sleep", {"seconds": 2})
    up.api.wait_for(id, "started")
    assert up.end() == 0
    up.assert_all_gone()
    assert Redis.from_url(valkey.url).hget(f"rq:job:{id}", "status") == b"finished"


def test_a_job_that_outlasts_the_grace_is_ended_with_it(start: Start) -> None:
    up = start(before=SHORT_GRACE).wait_until_ready()
    up.api.wait_for(up.api.post("sleep", {"seconds": 29}), "started")
    assert up.end() == 0
    up.assert_all_gone()


def test_a_second_ctrl_c_leaves_nothing_behind(start: Start) -> None:
    up = start().wait_until_ready()
    up.api.wait_for(up.api.post("sleep", {"seconds": 2}), "started")
    up.descendants()
    up.process.send_signal(signal.SIGINT)
    up.wait_for("Stopping")
    assert up.end() == 0
    up.assert_all_gone()


@pytest.mark.quick
def test_ctrl_c_while_it_starts_leaves_nothing_behind(start: Start) -> None:
    up = start()
    up.wait_for("Errand is starting")
    assert up.end() == 0
    up.assert_all_gone()


@pytest.mark.parametrize(
    ("name", "words"),
    [("web", "uvicorn"), ("worker.1", "rq.cli"), ("mail", "errand.local.mail_sink"), ("valkey", "valkey-server")],
)
def test_a_process_that_is_killed_is_started_again_with_a_line_that_says_so(
    killed_up: Running, name: str, words: str
) -> None:
    up = killed_up
    up.kill(words)
    up.wait_for(f"| {name} was killed by signal 9; starting it again")
    wait_until(lambda: any(words in read_command(pid) for pid in up.descendants()))
    wait_until(lambda: _answers(up))
    mail = {"to": "ada@example.com", "subject": "After", "text": "It works again."}
    assert up.api.wait_for(up.api.post("email", mail))["status"] == "finished"


def test_what_a_killed_worker_left_ends_with_errand(start: Start) -> None:
    up = start(before=SHORT_GRACE).wait_until_ready()
    up.api.wait_for(up.api.post("sleep", {"seconds": 29}), "started")
    up.kill("rq.cli")
    assert up.end() == 0
    up.assert_all_gone()


def test_killed_itself_it_takes_its_processes_with_it_and_starts_again_with_its_jobs(start: Start) -> None:
    up = start().wait_until_ready()
    up.api.wait_for(up.api.post("sleep", {"seconds": 2}), "started")
    id = up.api.post("echo", {"value": "kept"})
    up.end(signal.SIGKILL)
    again = start("--data", str(up.data)).wait_until_ready()
    assert again.api.wait_for(id)["result"] == "kept"
    up.assert_all_gone(timeout_seconds=15)


def test_two_workers_are_two_processes_and_zero_are_none(start: Start) -> None:
    none, two = start("--workers", "0", folder="none"), start("--workers", "2", folder="two")
    for up, count in ((none, 0), (two, 2)):
        up.wait_until_ready()
        assert read_place(up.output, "Workers") == str(count)
        commands = [read_command(pid) for pid in up.descendants() if not read_name(pid).startswith("errand-")]
        assert sum("worker.Worker" in command for command in commands) == count


@pytest.mark.quick
def test_an_address_beyond_this_machine_needs_keys(start: Start) -> None:
    up = start("--host", "0.0.0.0")
    assert up.process.wait(20) == 1
    assert up.output.startswith(
        "errand: API_KEYS is not set: anyone could post jobs. Make a key with `errand key NAME`"
    )
    assert not up.data.exists()


@pytest.mark.quick
def test_a_broken_job_file_is_one_clear_line(start: Start, project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    subprocess.run(["cp", "-r", project, folder], check=True)
    (folder / "jobs/broken.py").write_text("from jobs import job\n\n\n@job()\ndef run(thing) -> None: ...\n")
    up = start(PYTHONPATH=str(folder))
    assert up.process.wait(20) == 1
    (line,) = up.output.splitlines()
    assert line.startswith("errand: jobs/broken.py: run(): parameter 'thing' has no type")
    assert up.descendants() == set()


def test_a_redis_url_that_is_set_is_used(start: Start, valkey: EmbeddedValkey) -> None:
    up = start(REDIS_URL=valkey.url).wait_until_ready()
    assert read_place(up.output, "Redis") == "REDIS_URL"
    assert not any("valkey-server" in read_command(pid) for pid in up.descendants())
    assert up.api.wait_for(up.api.post("echo", {"value": 1}))["status"] == "finished"


@pytest.mark.quick
def test_a_redis_url_where_nothing_answers_is_told_at_once(start: Start) -> None:
    up = start(REDIS_URL=f"redis://127.0.0.1:{find_free_port()}/0")
    assert up.process.wait(20) == 1
    assert up.output.startswith("errand: REDIS_URL is set, and no Redis answers there: ")
    assert len(up.output.splitlines()) == 1


def test_an_smtp_url_that_is_set_is_used(start: Start, sink: ScriptedSink) -> None:
    up = start(SMTP_URL=sink.url, MAIL_FROM="me@example.com").wait_until_ready()
    assert read_place(up.output, "Mail") == "SMTP_URL"
    assert not any("errand.local.mail_sink" in read_command(pid) for pid in up.descendants())
    up.api.wait_for(up.api.post("email", {"to": "ada@example.com", "subject": "Here", "text": "It works."}))
    assert [mail.recipients for mail in sink.mails] == [["ada@example.com"]]


def test_a_proxy_in_the_environment_is_not_asked_for_this_machine(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        start("--workers", "0", http_proxy=f"http://127.0.0.1:{proxy.getsockname()[1]}").wait_until_ready()
        with pytest.raises(BlockingIOError):
            proxy.accept()


def _answers(up: Running) -> bool:
    try:
        return up.api.call("GET", "/readyz").status == 200
    except OSError:
        return False
