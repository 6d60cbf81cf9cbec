"""The hashes by which workers know whether they have the same code, and work with the same service."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from errand import Job
from errand.contract.code import hash_code, hash_codes, hash_services
from errand.redis.keys import CODE_LENGTH

Load = Callable[..., Job[..., Any]]
FILE = "from errand import job\n\n\n@job({options})\ndef run({parameter}) -> None:\n    {body}\n"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Writes a job file anew and loads it, as a worker does at its start."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def load(body: str = "pass", parameter: str = "to: str", options: str = "") -> Job[..., Any]:
        sys.modules.pop("letter", None)
        (tmp_path / "letter.py").write_text(FILE.format(body=body, parameter=parameter, options=options))
        importlib.invalidate_caches()
        found: Job[..., Any] = importlib.import_module("letter").run
        return found

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield load
    sys.modules.pop("letter", None)


def test_the_same_file_has_the_same_hash(load: Load) -> None:
    found = hash_code(load())
    assert (len(found), hash_code(load())) == (CODE_LENGTH, found)
    assert hash_codes({"letter": load()}) == {"letter": found}


def test_a_change_of_what_it_does_or_takes_is_another_hash(load: Load) -> None:
    hashes = [hash_code(load(**change)) for change in ({}, {"body": "print(to)"}, {"parameter": "to: int"})]
    assert len(set(hashes)) == 3


def test_an_adopted_job_has_another_hash_where_its_function_changes(load: Load) -> None:
    hashes = [hash_code(load(body).adopt("tests.support.job_types")) for body in ("pass", "print(to)")]
    assert len(set(hashes)) == 2


def test_without_its_file_it_has_the_hash_of_its_payload(load: Load, tmp_path: Path) -> None:
    with_file, job = hash_code(load()), load()
    (tmp_path / "letter.py").unlink()
    assert len({with_file, hash_code(job)}) == 2
    assert hash_code(job) == hash_code(job)


def test_a_service_has_the_hash_that_every_version_gives_it(load: Load) -> None:
    services = {"letter": load(options="service=lambda: 'smtp://ada:secret@mail.example'"), "other": load()}
    assert hash_services(services) == {"letter": "b990557d9c8e"}
