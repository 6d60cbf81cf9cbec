"""The job that sends a webhook: how it signs, where it goes, and what counts as taken."""

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest
from pydantic import ValidationError

from errand import PermanentError
from errand.builtin import webhook
from errand.builtin.webhook import Event
from errand.contract.catalog import read_catalog
from errand.local.valkey import find_free_port
from errand.redis.settings import SettingsError
from errand.webhook import request as _webhook_request
from errand.webhook.address import RefusedAddressError, check_url, find_targets, is_public
from errand.webhook.request import UndeliveredError
from errand.webhook.settings import WebhookSettings
from tests.support.receivers import CERTIFICATE, OTHER_SECRET, SECRET, Receiver, list_valid
from tests.support.waiting import wait_until

Start = Callable[..., Receiver]
Resolve = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WEBHOOK_SECRETS", SECRET)
    monkeypatch.setenv("WEBHOOK_ALLOW_PRIVATE", "1")
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    _webhook_request._build_tls.cache_clear()
    yield
    _webhook_request._build_tls.cache_clear()


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts receivers, which end with the test."""
    started = []

    def start(*statuses: int, **options: Any) -> Receiver:
        started.append(Receiver(*statuses, **options))
        return started[-1]

    yield start
    for receiver in started:
        receiver.stop()


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Makes every name resolve to the addresses given, one at each lookup; returns the names looked up."""

    def resolve(*answers: list[str]) -> list[str]:
        asked: list[str] = []
        left = list(answers)

        def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
            asked.append(host)
            kinds = {4: socket.AF_INET, 6: socket.AF_INET6}
            found = left.pop(0) if len(left) > 1 else left[0]
            return [(kinds[ip_address(one).version], socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return resolve


def build(url: str, **fields: Any) -> Event:
    return Event.model_validate({"url": url, "type": "job.finished", **fields})


def test_it_is_signed_as_in_the_specifications_own_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "job_id", lambda: "msg_p5jXN8AQM9LWM0D4loKWxJek")
    settings = WebhookSettings(WEBHOOK_SECRETS="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.fromtimestamp(1614265330, UTC)
    signed = webhook._sign(settings, at, '{"test": 2432232314}')
    assert signed["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert (signed["webhook-id"], signed["webhook-timestamp"]) == ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330")


def test_the_event_arrives_whole_over_tls(start: Start) -> None:
    receiver = start(tls=True)
    result = base64.b64encode(json.dumps({"é": ["😀"]}).encode()).decode()
    event = build(receiver.url, timestamp="2026-12-24T19:00:00.5+01:00", data={"id": "1"}, result_base64=result)
    assert webhook.run(event) == {"status": 204}
    (received,) = receiver.received
    assert received.json == {
        "type": "job.finished",
        "timestamp": "2026-12-24T18:00:00.500000Z",
        "data": {"id": "1", "result": {"é": ["😀"]}},
    }
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["Host"] == f"localhost:{receiver.port}"
    assert list_valid(received, SECRET) == [SECRET]


def test_each_secret_signs_while_one_is_replaced(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRETS", f"{SECRET}, {OTHER_SECRET}")
    receiver = start()
    webhook.run(build(receiver.url))
    assert list_valid(receiver.received[0], OTHER_SECRET, SECRET) == [OTHER_SECRET, SECRET]


@pytest.mark.parametrize("status", [301, 302, 308, 400, 404, 429, 500])
def test_any_answer_but_2xx_is_tried_again(start: Start, status: int) -> None:
    with pytest.raises(UndeliveredError, match=rf"^localhost:\d+ answered {status}$"):
        webhook.run(build(start(status).url))


def test_a_redirect_is_not_followed(start: Start) -> None:
    other = start()
    receiver = start(307, location=other.url)
    with pytest.raises(UndeliveredError):
        webhook.run(build(receiver.url))
    assert (len(receiver.received), other.received) == (1, [])


def test_gone_is_a_failure_for_good(start: Start) -> None:
    with pytest.raises(PermanentError, match="answered 410"):
        webhook.run(build(start(410).url))


def test_who_does_not_answer_is_named_without_the_path() -> None:
    with pytest.raises(UndeliveredError, match=r"^localhost: .*refused") as caught:
        webhook.run(build(f"https://localhost:{find_free_port()}/token"))
    assert "token" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("said", "again"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Slow: a\r\n"),
    ],
    ids=["silence", "a dripping line", "continue for ever", "a dripping head"],
)
def test_an_answer_without_an_end_is_waited_for_only_so_long(
    monkeypatch: pytest.MonkeyPatch, scheme: str, said: bytes, again: bytes
) -> None:
    monkeypatch.setattr(_webhook_request, "ANSWER_SECONDS", 0.3)
    ended = threading.Event()

    def answer(listener: socket.socket) -> None:
        with suppress(OSError), listener.accept()[0] as taken:
            taken.sendall(said)
            while not ended.wait(0.05):
                taken.sendall(again)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=[listener])
        thread.start()
        guard = threading.Timer(5, ended.set)
        guard.start()
        with pytest.raises(UndeliveredError) as caught:
            webhook.run(build(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/"))
        assert not ended.is_set()
        guard.cancel()
        ended.set()
        thread.join()
    if scheme == "http":
        assert str(caught.value) == "127.0.0.1: no answer in 0.3 s"


def test_all_the_addresses_of_a_name_share_the_time_to_connect(
    monkeypatch: pytest.MonkeyPatch, start: Start, resolve: Resolve
) -> None:
    monkeypatch.setattr(_webhook_request, "CONNECT_SECONDS", 0.4)
    given = []
    connect = socket.socket.connect

    def wait(self: socket.socket, address: Any) -> None:
        if address[0] == "127.0.0.1":
            return connect(self, address)
        given.append(self.gettimeout())
        time.sleep(given[-1])
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket.socket, "connect", wait)
    receiver = start()
    resolve(["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1"])
    assert webhook.run(build(receiver.url)) == {"status": 204}
    assert given == [pytest.approx(0.1, abs=0.02)] * 3


def test_what_is_no_answer_does_not_get_into_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with listener.accept()[0] as taken:
                while not taken.recv(10_000).endswith(b"}"):
                    pass
                taken.sendall(b"\x1b[2J your disk is full\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(UndeliveredError) as caught:
            webhook.run(build(f"http://127.0.0.1:{listener.getsockname()[1]}/"))
        thread.join()
    assert str(caught.value) == "127.0.0.1: no answer in HTTP (BadStatusLine)"


def test_no_watch_stays_behind(start: Start) -> None:
    receiver = start()
    before = set(threading.enumerate())
    webhook.run(build(receiver.url))
    with pytest.raises(UndeliveredError):
        webhook.run(build(f"http://localhost:{find_free_port()}/"))
    wait_until(lambda: not [new for new in set(threading.enumerate()) - before if isinstance(new, threading.Timer)])


def test_a_certificate_for_another_name_is_refused(start: Start, resolve: Resolve) -> None:
    resolve(["127.0.0.1"])
    with pytest.raises(UndeliveredError, match="Hostname mismatch"):
        webhook.run(build(start(tls=True).url.replace("localhost", "hooks.example")))


def test_nothing_is_sent_unsigned(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBHOOK_SECRETS")
    receiver = start()
    with pytest.raises(UndeliveredError, match="WEBHOOK_SECRETS is not set"):
        webhook.run(build(receiver.url))
    assert receiver.received == []


PRIVATE = [
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1", "192.168.1.1"),
    *("192.0.0.5", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1"),
    *("240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1"),
    *("2002:7f00:1::1", "3fff::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_anyones_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"])
def test_a_public_address_is_taken(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("host", ["hooks.example", "127.1", "0x7f000001", "2130706433", "localhost"])
def test_a_name_of_a_private_address_is_refused_at_once_and_for_good(
    monkeypatch: pytest.MonkeyPatch, resolve: Resolve, host: str
) -> None:
    monkeypatch.delenv("WEBHOOK_ALLOW_PRIVATE")
    if host == "hooks.example":
        resolve(["10.0.0.1", "::ffff:169.254.169.254"])
    with pytest.raises(PermanentError, match="has no public address"):
        webhook.run(build(f"https://{host}/"))


def test_a_name_that_changes_after_the_look_is_not_followed(
    monkeypatch: pytest.MonkeyPatch, start: Start, resolve: Resolve
) -> None:
    monkeypatch.delenv("WEBHOOK_ALLOW_PRIVATE")
    receiver = start(tls=True)
    asked = resolve(["1.1.1.1"], ["127.0.0.1"])
    reached = []

    def connect(self: socket.socket, address: Any) -> None:
        reached.append(address)
        raise OSError("no way there")

    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(UndeliveredError, match="no way there"):
        webhook.run(build(receiver.url))
    assert (asked, reached, receiver.received) == (["localhost"], [("1.1.1.1", receiver.port)], [])


def test_of_a_names_addresses_only_public_ones_are_called(resolve: Resolve) -> None:
    resolve(["10.0.0.1", "1.1.1.1", "::1"])
    assert [address[0] for _, address in find_targets("hooks.example", 443, allow_private=False)] == ["1.1.1.1"]


def test_the_next_address_is_tried_where_one_does_not_answer(start: Start, resolve: Resolve) -> None:
    receiver = start()
    resolve(["127.0.0.77", "127.0.0.1"])
    assert webhook.run(build(receiver.url)) == {"status": 204}


def test_a_name_without_an_address_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(UndeliveredError, match=r"^hooks\.example: .*not known"):
        webhook.run(build("https://hooks.example/"))


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.com/", "http://example.com/", "//example.com/", "example.com", "https://", "https://:8/"),
        *("https://a b.example/", "https://example.com/\n", "https://example.com/#top", "https://a@example.com/"),
        *(
            "https://example.com:0/",
            "https://example.com:65536/",
            "https://example.com:x/",
            "https://[::1/",
            "https://[x]/",
        ),
        *(
            "https://ex_ample..com/",
            "https://-a.com/",
            "https://a\\b.com/",
            f"https://{64 * 'a'}.com/",
            "https://a%00.com/",
        ),
        *("https://10.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://example.com/" + 2000 * "a"),
    ],
)
def test_a_url_that_can_be_no_webhook_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        check_url(url)


@pytest.mark.parametrize(
    "url", ["https://example.com", "https://xn--bcher-kva.example.:8443/a%20b?c=d", "https://1.1.1.1/"]
)
def test_an_https_url_is_taken(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"WEBHOOK_SECRETS": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "each secret is whsec_"),
        ({"WEBHOOK_SECRETS": "whsec_c2hvcnQ="}, "24 to 64 bytes"),
        ({"WEBHOOK_SECRETS": SECRET + ",whsec_?"}, "base64"),
        ({"WEBHOOK_URL": "https://example.com/"}, "WEBHOOK_URL needs WEBHOOK_SECRETS"),
        ({"WEBHOOK_URL": "http://example.com/", "WEBHOOK_SECRETS": SECRET}, "WEBHOOK_URL: write https://"),
    ],
)
def test_settings_that_could_not_work_are_refused_without_the_secret(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], why: str
) -> None:
    monkeypatch.setenv("WEBHOOK_ALLOW_PRIVATE", "0")
    monkeypatch.delenv("WEBHOOK_SECRETS")
    with pytest.raises(ValidationError) as caught:
        WebhookSettings(**settings)
    (fault,) = caught.value.errors()
    assert why in fault["msg"]
    assert "whsec_?" not in fault["msg"]


def test_a_wrong_setting_is_not_blamed_on_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRETS", "x")
    assert build("https://example.com/hooks")
    with pytest.raises(SettingsError, match=r"WEBHOOK_SECRETS is wrong \(jobs/webhook.py\): each secret is whsec_"):
        read_catalog()


def test_settings_that_do_not_go_together_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBHOOK_SECRETS")
    monkeypatch.setenv("WEBHOOK_URL", "https://example.com/hooks")
    with pytest.raises(SettingsError, match=r"WEBHOOK_URL needs WEBHOOK_SECRETS, .* \(jobs/webhook.py\)"):
        read_catalog()


def test_refused_addresses_are_failures_for_good() -> None:
    assert issubclass(RefusedAddressError, PermanentError)
