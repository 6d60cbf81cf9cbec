"""Finding an Errand and an application by name, and describing what is wrong with their files."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from errand.app.find import TargetError, find_app, find_errand
from errand.local.own_app.faults import describe, trace

Write = Callable[[str, str], None]
ERRAND = "from errand import Errand\nfrom fastapi import FastAPI\nerrand = Errand('tests.app.shop.jobs')\n"
WSGI = "def app(environ, start_response): ...\n"
FACTORY = "def create_app(): ...\n"
MODULES = ("found_shop", "found_web")


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a module into this folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)

    yield put
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("text", "name", "is_factory", "is_wsgi"),
    [
        ("app = FastAPI()\n" + FACTORY, "app", False, False),
        (FACTORY, "create_app", True, False),
        (WSGI, "app", False, True),
        ("async def app(scope, receive, send): ...\n", "app", False, False),
    ],
    ids=["app", "factory", "wsgi", "asgi"],
)
def test_app_or_create_app_beside_the_errand_is_the_application(
    write: Write, text: str, name: str, is_factory: bool, is_wsgi: bool
) -> None:
    write("found_shop", ERRAND + text)
    found = find_app("found_shop:errand", None)
    assert (found.name, found.is_factory, found.is_wsgi) == (f"found_shop:{name}", is_factory, is_wsgi)


def test_another_one_may_be_named(write: Write) -> None:
    write("found_web", "from fastapi import FastAPI\nsite = FastAPI()\n")
    assert find_app("found_shop:errand", "found_web:site").name == "found_web:site"


def test_where_there_is_none_the_error_says_how_to_name_it(write: Write) -> None:
    write("found_shop", ERRAND)
    with pytest.raises(TargetError) as raised:
        find_app("found_shop:errand", None)
    assert str(raised.value) == (
        "found_shop.py has no 'app'; name it: errand up found_shop:errand --app shop.web:app, "
        "or run without one: --no-web"
    )


@pytest.mark.parametrize(
    ("text", "mount"),
    [("app.mount('/errand', errand.app)\n", "/errand"), ("errand.app\n", None), ("", None)],
)
def test_it_knows_where_the_api_is_mounted(write: Write, text: str, mount: str | None) -> None:
    write("found_shop", f"{ERRAND}app = FastAPI()\n{text}")
    assert find_app("found_shop:errand", None).find_mount(find_errand("found_shop:errand")) == mount


@pytest.mark.parametrize(
    ("text", "fault", "has_trace"),
    [
        ("x = 1\ndef (\n", "found_shop.py:2: SyntaxError: ", False),
        ("import json\njson.loads('x')\n", "found_shop.py:2: JSONDecodeError: Expecting value: line 1 column 1", True),
        ("import nowhere_at_all\n", "found_shop.py:1: ModuleNotFoundError: No module named 'nowhere_at_all'", True),
        ("import sys\nsys.exit('set SHOP_KEY')\n", "found_shop.py:2: SystemExit: set SHOP_KEY", True),
    ],
)
def test_a_fault_is_shown_with_the_applications_own_line(write: Write, text: str, fault: str, has_trace: bool) -> None:
    write("found_shop", text)
    with pytest.raises(BaseException) as raised:
        find_errand("found_shop:errand")
    assert describe(raised.value).startswith(fault)
    assert bool(trace(raised.value)) == has_trace
