"""The item job: its plain function, and its database."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import make_url
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.orm import Session

from errand import Progress
from errand.testing.jobs import JobsUnderTest
from jobs import _database, item
from jobs._database import DatabaseSettings, Item, session

Sent = list[tuple[str, dict[str, Any]]]


class FakeSession:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def merge(self, row: Item) -> None:
        self.calls.append(row.id)

    def commit(self) -> None:
        self.calls.append("commit")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An SQLite file that DATABASE_URL names; its connections are closed with the test."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/items.db")
    yield tmp_path / "items.db"
    _database._engine(DatabaseSettings().database_url).dispose()
    _database._engine.cache_clear()


open_session: Callable[[], Any] = contextmanager(session)


def test_the_plain_function_with_a_fake_session() -> None:
    seen, db = Progress(), FakeSession()
    item.run(7, progress=seen, db=db)  # type: ignore[arg-type]
    assert seen.reports == [(1, 3, "item 7"), (2, 3, "item 7"), (3, 3, "item 7")]
    assert db.calls == [7, "commit"]


def test_it_logs_a_line_when_it_has_finished(sent: Sent) -> None:
    item.run(7, db=FakeSession())  # type: ignore[arg-type]
    assert sent == [("log", {"text": "Finished processing item 7"})]


def test_an_item_that_was_stored_is_processed_and_logged(database: Path, errand_jobs: JobsUnderTest) -> None:
    id = item.run.store_sync(7)
    assert [ran.type for ran in errand_jobs.drain()] == ["item", "log"]
    assert errand_jobs.find(id).progress.message == "item 7"
    assert errand_jobs.logs[0].text == "Finished processing item 7"
    with open_session() as db:
        assert db.get(Item, 7)


def test_an_attempt_gets_its_own_session_and_the_item_is_stored(database: Path) -> None:
    item.run.perform(item_id=7)
    with open_session() as db:
        assert [row.id for row in db.query(Item)] == [7]


def test_an_item_processed_again_is_stored_once(database: Path) -> None:
    item.run.perform(item_id=7)
    item.run.perform(item_id=7)
    with open_session() as db:
        assert db.query(Item).count() == 1


def test_the_largest_item_id_fits_the_table(database: Path) -> None:
    item.run.perform(item_id=2**63 - 1)
    with open_session() as db:
        assert db.get(Item, 2**63 - 1)


@pytest.mark.parametrize("item_id", [-1, 2**63, "x", None, 1.5])
def test_an_id_that_does_not_fit_is_refused(item_id: Any) -> None:
    with pytest.raises(ValidationError):
        item.run.payload.model.model_validate({"item_id": item_id})


def test_what_an_attempt_did_not_commit_is_rolled_back(database: Path) -> None:
    def work(fail: bool) -> None:
        with open_session() as db:
            db.merge(Item(id=1, processed_at=datetime.now(UTC)))
            db.flush()
            if fail:
                raise RuntimeError

    work(fail=False)
    with pytest.raises(RuntimeError):
        work(fail=True)
    with open_session() as db:
        assert db.query(Item).count() == 0


def test_two_workers_that_create_the_tables_at_once_both_work(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both_looked, looked = Barrier(2), SQLiteDialect.has_table
    failures: list[Exception] = []
    first_looks = {"left": 2}

    def look_together(self: SQLiteDialect, *args: Any, **options: Any) -> bool:
        found = looked(self, *args, **options)
        if first_looks["left"]:
            first_looks["left"] -= 1
            both_looked.wait(10)  # neither found the table; both will create it
        return found

    def work() -> None:
        try:
            _database._engine.__wrapped__(DatabaseSettings().database_url).dispose()
        except Exception as error:
            failures.append(error)

    monkeypatch.setattr(SQLiteDialect, "has_table", look_together)
    workers = [Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert failures == []


def test_each_session_is_new(database: Path) -> None:
    with open_session() as first, open_session() as second:
        assert isinstance(first, Session)
        assert first is not second


@pytest.mark.parametrize("prefix", ["postgres", "postgresql"])
def test_a_platforms_postgres_url_names_the_driver(prefix: str) -> None:
    url = DatabaseSettings(DATABASE_URL=f"{prefix}://ada:se%2Fcret@db.example.com:5432/errand").database_url
    assert url == "postgresql+psycopg://ada:se%2Fcret@db.example.com:5432/errand"


@pytest.mark.parametrize("url", ["sqlite:////tmp/a.db", "postgresql+psycopg2://h/d", "mysql://h/d"])
def test_another_database_url_is_left_as_it_is(url: str) -> None:
    assert DatabaseSettings(DATABASE_URL=url).database_url == url


@pytest.mark.parametrize("url", ["", "errand.db", "nosuch://host/d"])
def test_a_bad_database_url_says_what_to_write(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DatabaseSettings(DATABASE_URL=url)
    (fault,) = caught.value.errors()
    assert fault["loc"] == ("DATABASE_URL",)
    assert fault["msg"] == "Value error, it is no database URL; write sqlite:///errand.db or postgresql://…"


def test_a_password_with_an_at_sign_is_not_taken_for_a_host() -> None:
    url = make_url(DatabaseSettings(DATABASE_URL="postgres://a@da:p@ss@db.example.com/errand").database_url)
    assert (url.username, url.password, url.host) == ("a@da", "p@ss", "db.example.com")


def test_a_sqlite_path_may_hold_anything(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a b@c#d.db"
    assert DatabaseSettings(DATABASE_URL=url).database_url == url


def test_without_a_database_url_it_is_a_file_beside_the_project() -> None:
    assert DatabaseSettings().database_url == "sqlite:///errand.db"
