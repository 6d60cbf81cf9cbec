"""`errand up shop.main:errand` as a process: what it serves, says, refuses, and starts anew."""

import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from errand.local.own_app.settings import OwnOptions
from errand.local.preflight import CannotStartError, take_port
from tests.local.running import Running, read_place
from tests.local.shop import greet, write_shop
from tests.support.processes import read_command
from tests.support.waiting import wait_until

StartOwn = Callable[..., Running]


@pytest.fixture
def start_own(project: Path, tmp_path: Path) -> Iterator[StartOwn]:
    """Starts `errand up` with these words in a folder with a shop; what is left ends with the test."""
    started: list[Running] = []

    def begin(*own: str) -> Running:
        started.append(Running(project, tmp_path, own=own))
        started[-1].api.base_url += "/errand"
        return started[-1]

    write_shop(tmp_path)
    yield begin
    for running in started:
        running.clean_up()


@pytest.fixture(scope="module")
def shop(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One that reloads."""
    folder = write_shop(tmp_path_factory.mktemp("shop"))
    running = Running(project, folder, own=("shop.main:errand", "--reload")).wait_until_ready()
    running.api.base_url += "/errand"
    yield running
    running.clean_up()


def post(up: Running, path: str) -> str:
    """Post to an endpoint of the shop; return the id of the job."""
    request = urllib.request.Request(f"http://127.0.0.1:{up.port}{path}", method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.read().decode().strip('"'))


def start_waiting(up: Running) -> str:
    """Start the job that runs until there is a file `go`; return its id."""
    (up.folder / "go").unlink(missing_ok=True)
    id = post(up, "/wait")
    up.api.wait_for(id, "started")
    return id


def welcome(up: Running) -> str:
    return str(up.api.wait_for(post(up, "/signup?email=ada"))["result"])


@pytest.mark.quick
def test_it_serves_the_application_with_a_worker_and_says_where_everything_is(shop: Running) -> None:
    url = f"http://127.0.0.1:{shop.port}"
    assert read_place(shop.output, "App") == f"{url} (shop.main:app)"
    assert read_place(shop.output, "Console") == f"{url}/errand/console"
    assert read_place(shop.output, "API") == f"{url}/errand"
    assert read_place(shop.output, "Dashboard") == f"{url}/errand/dashboard"
    assert read_place(shop.output, "Redis").startswith("REDIS_URL=unix://")
    assert (
        read_place(shop.output, "Mail") == f"{shop.data}/mail/ (a local SMTP sink), shown at {url}/errand/console/mail"
    )
    assert welcome(shop) == "Welcome, ada!"


@pytest.mark.quick
def test_a_changed_job_is_what_runs_next_and_no_request_is_refused_meanwhile(shop: Running) -> None:
    greet(shop.folder, "Good day")
    wait_until(lambda: welcome(shop) == "Good day, ada!")


@pytest.mark.thorough
def test_a_file_that_python_cannot_read_leaves_what_runs_and_is_told(shop: Running) -> None:
    before = welcome(shop)
    path = shop.folder / "shop/jobs/welcome.py"
    path.write_text(path.read_text() + "def (\n")
    shop.wait_for("shop/jobs/welcome.py:8: SyntaxError: ")
    shop.wait_for("what was started before goes on; waiting for the next change")
    assert welcome(shop) == before
    greet(shop.folder, "Mended")
    wait_until(lambda: welcome(shop) == "Mended, ada!")


@pytest.mark.thorough
def test_a_job_that_runs_while_its_worker_starts_anew_is_not_lost(shop: Running) -> None:
    id = start_waiting(shop)
    times = shop.output.count("changed; starting again")
    greet(shop.folder, "Hello to you")
    shop.wait_for("changed; starting again", times + 1)
    (shop.folder / "go").touch()
    assert shop.api.wait_for(id)["result"] == "gone"
    wait_until(lambda: welcome(shop) == "Hello to you, ada!")


@pytest.mark.slow
def test_a_job_that_outlasts_the_grace_is_put_back_and_costs_no_try(shop: Running) -> None:
    id = start_waiting(shop)
    greet(shop.folder, "Hi")
    wait_until(lambda: shop.api.call("GET", f"/v1/jobs/{id}").body["interruptions"] == 1)
    (shop.folder / "go").touch()
    ended = shop.api.wait_for(id)
    assert (ended["result"], ended["retries_left"]) == ("gone", 4)


@pytest.mark.thorough
def test_an_error_on_import_is_a_line_with_file_and_line_and_ends_it(start_own: StartOwn, tmp_path: Path) -> None:
    (tmp_path / "shop/main.py").write_text("import json\n\njson.loads('{')\n")
    up = start_own("shop.main:errand")
    assert up.process.wait(30) == 1
    assert up.output.splitlines() == [
        f"Errand is starting in {up.data}/ (Ctrl-C ends it)",
        "errand: shop/main.py:3: JSONDecodeError: Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)",
        f"errand: (the traceback is in {up.data}/errand.log)",
    ]
    assert "json.loads('{')" in (up.data / "errand.log").read_text()
    up.assert_all_gone()


@pytest.mark.slow
def test_with_reload_it_waits_at_the_start_until_the_error_is_mended(start_own: StartOwn, tmp_path: Path) -> None:
    main = tmp_path / "shop/main.py"
    text = main.read_text()
    main.write_text(text.replace("FastAPI(", "FastAPI(("))
    up = start_own("shop.main:errand", "--reload")
    up.wait_for("Waiting for the next change")
    assert "shop/main.py:9: SyntaxError: " in up.output
    main.write_text(text)
    up.wait_until_ready()
    assert welcome(up) == "Welcome, ada!"
    assert up.end() == 0
    up.assert_all_gone()


@pytest.mark.thorough
def test_a_lifespan_that_fails_ends_it_with_what_it_said(start_own: StartOwn, tmp_path: Path) -> None:
    with (tmp_path / "shop/main.py").open("a") as main:
        main.write("\n\nasync def fail(app):\n    raise RuntimeError('no database')\n    yield\n\n\n")
        main.write("app.router.lifespan_context = __import__('contextlib').asynccontextmanager(fail)\n")
    up = start_own("shop.main:errand")
    assert up.process.wait(30) == 1
    assert "RuntimeError: no database" in up.output
    assert "errand: shop.main:app ended while it started; what it said is above" in up.output
    up.assert_all_gone()


@pytest.mark.slow
def test_without_web_the_workers_run_and_the_redis_url_is_told(start_own: StartOwn) -> None:
    up = start_own("shop.main:errand", "--no-web").wait_until_ready()
    assert "  App" not in up.output
    up.wait_for("Listening on default")
    assert not any("own.web" in command for command in map(read_command, up.descendants()))
    assert up.end() == 0
    up.assert_all_gone()


def test_a_taken_port_is_an_error_that_names_the_next_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStartError, match=f"choose another: errand up shop.main:errand --port {port + 1}"):
            take_port(OwnOptions("127.0.0.1", port, Path("data"), 1, "shop.main:errand"))
