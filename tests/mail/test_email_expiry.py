"""A mail that is not sent in time is never sent."""

import time
from contextvars import Context

import pytest

from errand.contract.attempt import enter
from errand.contract.errors import ExpiredError
from errand.worker.attempt import LiveAttempt
from jobs import email
from tests.mail.rerun import MAIL
from tests.support.sinks import ScriptedSink


@pytest.fixture(autouse=True)
def _settings(sink: ScriptedSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", sink.url)
    monkeypatch.setenv("MAIL_FROM", "errand@example.com")


def send(expires_in_seconds: float) -> None:
    """Run the job as a worker that took it in time does."""
    enter(LiveAttempt(lambda text: None, time.time, expires_at=time.time() + expires_in_seconds))
    email.run.perform(**MAIL)


def test_it_begins_no_conversation(sink: ScriptedSink) -> None:
    with pytest.raises(ExpiredError, match="it had not ended by"):
        Context().run(send, -1)
    assert sink.mails == []


def test_one_that_has_time_left_is_sent(sink: ScriptedSink) -> None:
    Context().run(send, 60)
    assert len(sink.mails) == 1
