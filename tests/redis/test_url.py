"""The reader of URLs in settings, and what the settings say of one: its part, and nothing of a password."""

import traceback
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_settings import BaseSettings

from errand.api.settings import ApiSettings
from errand.mail.settings import MailSettings
from errand.redis.connection import UrlConnector, wait_for_redis
from errand.redis.settings import SettingsError, read_settings
from errand.redis.url import Url, read_url
from errand.store.settings import QueueSettings
from errand.webhook.address import check_url
from errand.webhook.settings import WebhookSettings
from jobs._database import DatabaseSettings

SCHEMES = ("redis", "rediss")
Read = Callable[[str], Any]


def refuse(read: Read, text: str) -> BaseException:
    with pytest.raises((ValueError, SettingsError)) as caught:
        read(text)
    return caught.value


def show(error: BaseException) -> str:
    """Return all that may be said of an error, those behind it included."""
    return f"{error!r} {error} {''.join(traceback.format_exception(error))}"


def read(text: str) -> Url:
    return read_url(text, SCHEMES)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("redis://host", Url("redis", "host")),
        ("redis://", Url("redis", "")),
        ("redis://host:1/0", Url("redis", "host", 1, path="/0")),
        ("redis://host:65535", Url("redis", "host", 65535)),
        ("redis://host:", Url("redis", "host")),
        ("redis://[::1]:6379/2", Url("redis", "::1", 6379, path="/2")),
        ("rediss://[fe80::1%25eth0]", Url("rediss", "fe80::1%25eth0")),
        ("redis://ada@host", Url("redis", "host", user="ada")),
        ("redis://ada:@host", Url("redis", "host", user="ada", password="")),
        ("redis://:p@host", Url("redis", "host", user="", password="p")),
        ("redis://ada@acme.example:p@ss:w@host", Url("redis", "host", user="ada@acme.example", password="p@ss:w")),
        ("redis://ädä:pässwörd@host", Url("redis", "host", user="ädä", password="pässwörd")),
        ("redis://a:%C3%A4%2F%23%3F%40%3A%25%20@host", Url("redis", "host", user="a", password="ä/#?@:% ")),
        ("redis://a:100%@host", Url("redis", "host", user="a", password="100%")),
        ("redis://h?a=1&b=&c=x%26y", Url("redis", "h", options=(("a", "1"), ("b", ""), ("c", "x&y")))),
    ],
)
def test_a_url_has_its_parts_decoded(text: str, url: Url) -> None:
    assert read(text) == url


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "scheme"),
        ("host:6379", "scheme"),
        ("redis:host", "scheme"),
        ("REDIS://host", "scheme"),
        ("http://host", "scheme"),
        ("redis://host:port", "port"),
        ("redis://host:0", "port"),
        ("redis://host:65536", "port"),
        ("redis://host:-1", "port"),
        ("redis://[::1", "host"),
        ("redis://a:p[x@host", "password"),
        ("redis://a:p\u2100x@host", "password"),  # ℀, which NFKC makes a/c of
        ("redis://a:p/x@host", "password"),
        ("redis://a:p#x@host", "password"),
        ("redis://a:p?x@host", "password"),
        ("redis://a/b:p@host", "user name"),
        ("redis://a:%FF@host", "password"),
        ("redis://%ff:p@host", "user name"),
        ("redis://host#", "#"),
        ("redis://host/0#x", "#"),
        ("redis://a:p x@host", "space"),
        ("redis://host\n", "control character"),
        ("redis://host\u202e", "control character"),
        ("redis://host\udcff", "control character"),
    ],
)
def test_a_bad_url_is_reported_by_its_part(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        read(text)


def test_an_option_that_is_not_known_is_reported_by_its_number_and_those_that_are() -> None:
    assert read_url("redis://h?b=1&a=2", SCHEMES, ("a", "b")).find("a") == "2"
    with pytest.raises(ValueError, match="option number 2 is not known; there are a, b"):
        read_url("redis://h?b=1&s=ecret", SCHEMES, ("a", "b"))
    with pytest.raises(ValueError, match="option number 1 is not known; there are none"):
        read_url("redis://h?b=1", SCHEMES, ())


def test_a_url_that_is_shown_shows_no_user_password_or_options() -> None:
    shown = repr(read("redis://ada:secret@host:1/2?password=secret"))
    assert shown == "Url(scheme='redis', host='host', port=1, path='/2')"


@pytest.mark.parametrize(
    "text",
    [
        "redis://",
        "redis://:p@/0",
        "redis://host/",
        "redis://host/15/",
        "rediss://host:6380/0?ssl_cert_reqs=none",
        "redis://host?socket_timeout=3&health_check_interval=2&protocol=3&client_name=x",
        "redis://host?db=3&username=ada&password=%40",
        "unix:///run/redis.sock",
        "unix:///run/redis@1/redis.sock?db=1",
        "unix://ada@/run/redis.sock",
    ],
)
def test_a_redis_url_may_have_what_redis_py_takes(text: str) -> None:
    assert QueueSettings(REDIS_URL=text).redis_url == text
    UrlConnector(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("rediss://host/x", "database"),
        ("redis://host/0x", "database"),
        ("redis://host/1/2", "database"),
        ("redis://host/-1", "database"),
        ("redis://host/\u0663", "database"),
        ("redis://host?db=x", "options"),
        ("redis://host?socket_timout=3", "options"),
        ("redis://host?ssl_ca_certs=x", "options"),
        ("rediss://host?ssl_cert_reqs=never", "options"),
        ("redis://host?password=p@ss", "%40"),
        ("unix://", "socket"),
        ("unix://run/redis.sock", "socket"),
        ("unix:///", "socket"),
    ],
)
def test_a_redis_url_that_redis_py_takes_otherwise_than_it_is_meant_is_refused(text: str, part: str) -> None:
    for read in (read_redis, UrlConnector, wait_for_redis):
        assert part in str(refuse(read, text))


def read_redis(text: str) -> QueueSettings:
    return QueueSettings(REDIS_URL=text)


# Each setting that may hold a password, with its form.
SETTINGS: dict[str, tuple[type[BaseSettings], str]] = {
    "REDIS_URL": (QueueSettings, "redis://{}@host:6379/0"),
    "DATABASE_URL": (DatabaseSettings, "postgres://{}@host:5432/db"),
    "WEBHOOK_URL": (WebhookSettings, "https://{}@host/hook"),
    "SMTP_URL": (MailSettings, "smtp://{}@host:587?starttls=require"),
}
PASSWORDS = [f"VERY{mark}SECRET" for mark in ["/", "#", "?", "@", ":", "%", "[", "]", "%FF", " ", "\n", "/#?@:%"]]
PASSWORDS += ["/SECRET", "#SECRET", "12/SECRET", "12#SECRET", "12?SECRET=SECRET"]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("user", ["ada:{}", ":{}", "a@da:{}", "/ada:{}"])
@pytest.mark.parametrize("name", SETTINGS)
def test_no_part_of_a_password_is_in_what_is_said_of_a_setting(
    name: str, user: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, form = SETTINGS[name]
    monkeypatch.setenv(name, form.format(user.format(password)))
    monkeypatch.setenv("MAIL_FROM", "errand@example.com")
    monkeypatch.setenv("WEBHOOK_SECRETS", f"whsec_{b64encode(bytes(24)).decode()}")
    try:
        shown = repr(kind())
    except ValueError as error:
        refused = refuse(lambda user: read_settings(kind, user), "a test")
        assert name in str(refused)
        shown = show(error) + show(refused)
    assert "VERY" not in shown
    assert "SECRET" not in shown


def try_to(read: Read, text: str) -> tuple[Any, str]:
    """Return what `read` gives, None where it raises, and what is said then."""
    try:
        return read(text), ""
    except ValueError as error:
        return None, show(error)


@given(st.text("12/#?@:%[]= &ab").map("https://u:VERY{}SECRET@host/".format))
def test_no_part_of_a_webhooks_url_before_its_last_at_sign_is_reported(text: str) -> None:
    _, said = try_to(check_url, text)
    assert "VERY" not in said
    assert "SECRET" not in said


@given(st.text("12/#?@:%[]= &ab"))
def test_a_url_is_read_as_it_is_meant_or_refused_without_its_text(password: str) -> None:
    url, said = try_to(read, f"redis://ada:VERY{password}SECRET@host/0")
    assert "VERY" not in said
    assert "SECRET" not in said
    if url is not None:
        assert (url.user, url.host, url.path) == ("ada", "host", "/0")
        assert url.password.startswith("VERY")
        assert url.password.endswith("SECRET")


def test_other_settings_repeat_nothing_of_what_they_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS", "ada:HIDDEN")
    monkeypatch.setenv("WEBHOOK_SECRETS", "whsec_HIDDEN")
    for kind in (ApiSettings, WebhookSettings):
        with pytest.raises(ValueError, match="validation error") as caught:
            kind()
        assert "HIDDEN" not in show(caught.value)
