"""What `make check` refuses in the Lua scripts."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

PATH = Path(__file__).parents[3] / ".ci/check_lua.py"


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_lua", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def find_faults(check: ModuleType, monkeypatch: pytest.MonkeyPatch, text: str) -> list[str]:
    monkeypatch.setattr(check, "assemble", lambda name: text)
    return list(check.find_faults("any"))


def test_every_script_is_sound(check: ModuleType) -> None:
    assert [fault for name in check.list_scripts() for fault in check.find_faults(name)] == []


def test_no_line_is_too_long(check: ModuleType) -> None:
    assert not list(check.find_long_lines())


def test_a_line_that_is_too_long_is_named(check: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/some.lua").write_text(f"--\n-- {'é' * 117}\n-- {'é' * 118}\n")
    monkeypatch.setattr(check, "FOLDER", tmp_path)
    assert list(check.find_long_lines()) == ["lib/some.lua:3: 121 characters, more than 120"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("local function f()\n  return unknown\nend\n", "line 1: unknown is a global"),
        ("local function f()\n  stray = 1\nend\n", "line 1: stray is a global"),
        ("redis = nil\n", "redis is a global"),
        ("".join(f"local a{n} = {n}\n" for n in range(160)) + "return a0\n", "160 locals at once, more than 150"),
    ],
)
def test_a_fault_is_named(check: ModuleType, monkeypatch: pytest.MonkeyPatch, text: str, fault: str) -> None:
    assert find_faults(check, monkeypatch, text) == [fault]


def test_what_does_not_compile_is_named(check: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    (fault,) = find_faults(check, monkeypatch, "local x = = 1\n")
    assert "unexpected symbol near '='" in fault


def test_too_many_upvalues_are_named(check: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"a{n}" for n in range(55)]
    text = "".join(f"local {name} = 1\n" for name in names) + f"local function f() return {' + '.join(names)} end\n"
    assert find_faults(check, monkeypatch, text) == ["line 56: 55 upvalues, more than 50"]


def test_locals_of_blocks_that_have_ended_do_not_count(check: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not find_faults(check, monkeypatch, "".join(f"do local a{n} = {n} end\n" for n in range(160)))
