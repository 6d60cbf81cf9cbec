"""What a receiver may send before its answer, and for how long it may ask to wait."""

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime

import pytest

from errand.builtin import webhook
from errand.builtin.webhook import Event
from errand.webhook.request import UndeliveredError
from errand.webhook.response import HEAD_BYTES, INFORMATIONAL_LIMIT
from errand.webhook.retry_after import MOST_SECONDS, read_retry_after
from tests.support.receivers import SECRET

Answer = Callable[[bytes], str]
OK = b"HTTP/1.1 204 No Content\r\n\r\n"
NOW = datetime(2026, 12, 24, 18, tzinfo=UTC)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answer]:
    """Starts a server that answers one request with these bytes; returns its URL."""
    monkeypatch.setenv("WEBHOOK_SECRETS", SECRET)
    monkeypatch.setenv("WEBHOOK_ALLOW_PRIVATE", "1")
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def answer(said: bytes) -> str:
        def serve() -> None:
            with listener.accept()[0] as taken:
                while not taken.recv(10_000).endswith(b"}"):
                    pass
                taken.sendall(said)

        threads.append(threading.Thread(target=serve))
        threads[0].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/t0ken"

    yield answer
    for thread in threads:
        thread.join()
    listener.close()


def send(url: str) -> dict[str, int]:
    return webhook.run(Event.model_validate({"url": url, "type": "job.finished"}))


@pytest.mark.parametrize("informational", [b"100 Continue", b"102 Processing", b"103 Early Hints", b"199"])
def test_an_informational_answer_is_passed_over(answer: Answer, informational: bytes) -> None:
    hints = b"HTTP/1.1 " + informational + b"\r\nLink: </style.css>; rel=preload\r\n\r\n"
    assert send(answer(hints + hints + OK)) == {"status": 204}


def test_the_final_answer_counts_whatever_came_before(answer: Answer) -> None:
    url = answer(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\n")
    with pytest.raises(UndeliveredError, match=r"^127\.0\.0\.1:\d+ answered 503 and asks to wait 7 s$") as caught:
        send(url)
    assert caught.value.delay_seconds == 7


def test_a_switch_of_protocols_that_nobody_has_asked_for_is_no_success(answer: Answer) -> None:
    with pytest.raises(UndeliveredError, match=r"answered 101$"):
        send(answer(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + OK))


@pytest.mark.parametrize("status", [b"100", b"103"])
def test_informational_answers_are_bounded_in_number(answer: Answer, status: bytes) -> None:
    said = (b"HTTP/1.1 " + status + b" x\r\n\r\n") * INFORMATIONAL_LIMIT
    with pytest.raises(UndeliveredError, match=rf"^127\.0\.0\.1: more than {INFORMATIONAL_LIMIT} informational"):
        send(answer(said + b"HTTP/1.1 103 x\r\n\r\n" + OK))


def test_as_many_as_are_allowed_are_passed_over(answer: Answer) -> None:
    assert send(answer(b"HTTP/1.1 103 x\r\n\r\n" * INFORMATIONAL_LIMIT + OK)) == {"status": 204}


def test_all_heads_together_are_bounded_in_bytes(answer: Answer) -> None:
    hints = b"HTTP/1.1 103 x\r\nLink: " + b"a" * (HEAD_BYTES // 2) + b"\r\n\r\n"
    with pytest.raises(UndeliveredError, match=rf"^127\.0\.0\.1: the head .* larger than {HEAD_BYTES:,} bytes$"):
        send(answer(hints + hints + OK))


def build(**headers: str) -> Message:
    built = Message()
    for name, value in headers.items():
        built[name.replace("_", "-")] = value
    return built


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        *(("120", 120), (" 0 ", 0), ("0", 0), ("86400", 86_400), ("86401", 86_400), ("0" * 5000 + "7", 7)),
        *(("9" * 5000, 86_400), ("-5", 0), ("1.5", 0), ("1e3", 0), ("soon", 0), ("", 0), ("\u0663", 0)),
        *(("120, 60", 0), ("Thu, 99 Foo 2026 18:00:00 GMT", 0), ("Thu, 24 Dec 2026 18:02:00 GMT", 120)),
        *(("Thursday, 24-Dec-26 18:02:00 GMT", 120), ("Thu Dec 24 18:02:00 2026", 120)),
        *(("Thu, 24 Dec 2026 17:00:00 GMT", 0), ("Thu, 31 Dec 2026 18:00:00 GMT", 86_400)),
        *(("Fri, 31 Dec 9999 23:59:59 GMT", 86_400), ("Fri, 31 Dec 0000 23:59:59 GMT", 0)),
    ],
)
def test_what_it_asks_for_is_obeyed_up_to_a_day(status: int, asked: str, seconds: float) -> None:
    headers = build(Date=format_datetime(NOW, usegmt=True), Retry_After=asked)
    assert read_retry_after(status, headers) == seconds <= MOST_SECONDS


def test_without_its_own_time_a_date_counts_from_now() -> None:
    until = datetime.now(UTC) + timedelta(seconds=600)
    for date in ({}, {"Date": "yesterday"}):
        asked = read_retry_after(429, build(Retry_After=format_datetime(until, usegmt=True), **date))
        assert 590 < asked <= 600


@pytest.mark.parametrize("status", [200, 301, 400, 410, 500, 502])
def test_other_answers_do_not_ask_for_a_wait(status: int) -> None:
    assert read_retry_after(status, build(Retry_After="120")) == 0


def test_no_header_asks_for_nothing() -> None:
    assert read_retry_after(429, build()) == 0
