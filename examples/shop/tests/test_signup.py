from fastapi.testclient import TestClient

from errand.testing.jobs import JobsUnderTest
from shop.main import REMIND_SECONDS

ADA = {"email": "ada@example.com"}


def test_a_new_user_is_welcomed(client: TestClient, errand_jobs: JobsUnderTest) -> None:
    client.post("/signup", json=ADA)
    errand_jobs.drain()
    assert [(mail.to, mail.subject) for mail in errand_jobs.sent_mails] == [(["ada@example.com"], "Welcome")]


def test_a_user_who_has_not_ordered_is_reminded(client: TestClient, errand_jobs: JobsUnderTest) -> None:
    client.post("/signup", json=ADA)
    errand_jobs.advance(REMIND_SECONDS)
    errand_jobs.drain()
    assert errand_jobs.sent_mails[-1].subject == "Still there?"


def test_a_user_who_has_ordered_is_not_reminded(client: TestClient, errand_jobs: JobsUnderTest) -> None:
    client.post("/signup", json=ADA)
    client.post("/orders", json={**ADA, "product": "tea"}, headers={"Idempotency-Key": "1"})
    errand_jobs.advance(REMIND_SECONDS)
    errand_jobs.drain()
    assert "Still there?" not in [mail.subject for mail in errand_jobs.sent_mails]
