"""Wrong passwords are slowed down by address, the same at the console and at the dashboard."""

import base64
import logging
from collections.abc import Iterator
from itertools import count

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from errand.api.http.auth import make_key
from errand.api.settings import ApiSettings
from errand.api.wrong_passwords import ADDRESSES, FREE, WAIT_SECONDS, WrongPasswords
from errand.store.settings import QueueSettings
from tests.support.connectors import create_app
from tests.support.job_types import TYPES

_, ENTRY = make_key("ops")
FULL, READ = "a password that may change", "a password that may read"
ATTACKER, COLLEAGUE = "203.0.113.9", "192.0.2.7"


@pytest.fixture
def app(queue_settings: QueueSettings) -> FastAPI:
    settings = ApiSettings(API_KEYS=ENTRY, DASHBOARD_PASSWORD=FULL, CONSOLE_READ_PASSWORD=READ)
    return create_app(settings, queue_settings, TYPES)


def come_from(app: FastAPI, address: str) -> TestClient:
    return TestClient(app, "https://errand.example.com", follow_redirects=False, client=(address, 1))


@pytest.fixture
def attacker(app: FastAPI) -> Iterator[TestClient]:
    with come_from(app, ATTACKER) as client:
        yield client


def open_dashboard(client: TestClient, password: str) -> int:
    credentials = base64.b64encode(f"any:{password}".encode()).decode()
    return client.get("/dashboard/", headers={"Authorization": f"Basic {credentials}"}).status_code


def sign_in(client: TestClient, password: str) -> int:
    headers = {"Sec-Fetch-Site": "same-origin"}
    return client.post("/console/login", data={"password": password}, headers=headers).status_code


def guess(client: TestClient, times: int = FREE) -> list[int]:
    return [open_dashboard(client, f"guess {number}") for number in range(times)]


def test_after_ten_wrong_passwords_the_dashboard_takes_none_for_a_while(attacker: TestClient) -> None:
    assert guess(attacker, FREE + 5) == [401] * FREE + [429] * 5
    assert open_dashboard(attacker, FULL) == 429


def test_an_attacker_who_has_to_wait_sees_how_long(attacker: TestClient) -> None:
    guess(attacker)
    answer = attacker.get("/dashboard/", headers={"Authorization": "Basic " + base64.b64encode(b"a:b").decode()})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:problem-type:errand:too-many-tries"
    assert 0 < int(answer.headers["Retry-After"]) <= WAIT_SECONDS
    assert answer.headers["Retry-After"] in answer.json()["detail"]


def test_another_address_is_not_slowed(app: FastAPI, attacker: TestClient) -> None:
    guess(attacker, FREE + 1)
    colleague = come_from(app, COLLEAGUE)
    assert (open_dashboard(colleague, FULL), sign_in(colleague, READ)) == (200, 303)


def test_the_doors_count_together(attacker: TestClient) -> None:
    guess(attacker, FREE - 1)
    assert [sign_in(attacker, "wrong"), sign_in(attacker, FULL), open_dashboard(attacker, FULL)] == [403, 429, 429]


def test_the_password_to_read_buys_no_guesses_at_the_other(attacker: TestClient) -> None:
    for number in range(FREE):
        assert sign_in(attacker, READ) == 303
        assert sign_in(attacker, f"guess {number}") == 403
    assert sign_in(attacker, "guess") == 429


def test_asking_without_a_password_is_no_try(attacker: TestClient) -> None:
    assert {attacker.get("/dashboard/").status_code for _ in range(FREE + 5)} == {401}
    assert open_dashboard(attacker, FULL) == 200


def test_each_wrong_password_is_a_line_and_none_is_in_it(
    attacker: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "errand.api")
    guess(attacker, FREE + 5)
    lines = [record.getMessage() for record in caplog.records if "password" in record.getMessage()]
    said = f"Dashboard: a wrong password from {ATTACKER}"
    assert lines == [said] * (FREE - 1) + [f"{said}; the next is taken in 60 seconds"]
    assert "guess" not in caplog.text


def wear_out(tries: WrongPasswords, address: str) -> None:
    for number in range(FREE):
        tries.note(address, "Console", b"%d" % number)


def test_one_minute_after_the_tenth_there_is_one_a_minute() -> None:
    now = [1000.0]
    tries = WrongPasswords(lambda: now[0])
    wear_out(tries, COLLEAGUE)
    for number in range(5):
        assert tries.find_wait(COLLEAGUE) == WAIT_SECONDS
        now[0] += WAIT_SECONDS - 0.2
        assert tries.find_wait(COLLEAGUE) == 1
        now[0] += 0.2
        assert tries.find_wait(COLLEAGUE) == 0
        tries.note(COLLEAGUE, "Console", b"guess %d" % number)
    now[0] += 10_000
    tries.note(COLLEAGUE, "Console", b"guess")
    assert tries.find_wait(COLLEAGUE) == 0


def test_a_page_left_open_with_the_password_of_before_slows_its_office_once() -> None:
    now = [1000.0]
    tries = WrongPasswords(lambda: now[0])
    for _ in range(FREE):
        tries.note(COLLEAGUE, "Dashboard", b"of before")
    assert tries.find_wait(COLLEAGUE) == WAIT_SECONDS
    now[0] += WAIT_SECONDS
    for _ in count():
        tries.note(COLLEAGUE, "Dashboard", b"of before")
        assert tries.find_wait(COLLEAGUE) == 0
        now[0] += 2.5
        if now[0] > 5000:
            break
    tries.note(COLLEAGUE, "Dashboard", b"another")
    assert tries.find_wait(COLLEAGUE) == WAIT_SECONDS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::7", "2001:db8:1:2:ffff::1"),
        ("fe80::1%eth0", "fe80::2%eth1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("", ""),
    ],
)
def test_these_are_one_address(one: str, other: str) -> None:
    tries = WrongPasswords(lambda: 0.0)
    wear_out(tries, one)
    assert tries.find_wait(other) == WAIT_SECONDS


@pytest.mark.parametrize(
    ("one", "other"), [("2001:db8:1:2::7", "2001:db8:1:3::7"), ("203.0.113.9", "203.0.113.8"), ("::1", "127.0.0.1")]
)
def test_these_are_two(one: str, other: str) -> None:
    tries = WrongPasswords(lambda: 0.0)
    wear_out(tries, one)
    assert tries.find_wait(other) == 0


def test_so_many_addresses_are_remembered_and_no_more() -> None:
    tries = WrongPasswords(lambda: 0.0)
    for number in range(ADDRESSES + 10):
        tries.note(f"address {number}", "Console")
    assert len(tries._wrong) == ADDRESSES
