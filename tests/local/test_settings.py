"""The environment that `errand up` gives its processes."""

from pathlib import Path

import pytest

from errand.local.settings import UpOptions

GIVEN = {"ERRAND_LOCAL": "1", "ERRAND_MAIL_FOLDER": "/elsewhere"}


def complete(host: str = "127.0.0.1", **given: str) -> dict[str, str]:
    return UpOptions(host, 8000, Path(".errand"), 1).complete({**GIVEN, **given}, "unix:///ours", "smtp://ours")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_api_is_told_where_the_local_mail_server_keeps_mail_if_there_is_one(host: str) -> None:
    assert complete(host)["ERRAND_MAIL_FOLDER"] == f"{Path.cwd()}/.errand/mail"
    assert "ERRAND_MAIL_FOLDER" not in complete(host, SMTP_URL="smtp://mail.example.com")


def test_it_is_open_on_loopback_alone_whatever_the_environment_says() -> None:
    assert complete("0.0.0.0").get("ERRAND_LOCAL") is None
    assert complete()["ERRAND_LOCAL"] == "1"
