import pytest
from fastapi.testclient import TestClient

from errand.testing.jobs import JobsUnderTest
from shop.jobs import charge

ORDER = {"email": "ada@example.com", "product": "tea", "quantity": 2}


def place(client: TestClient, key: str = "1") -> list[str]:
    answer = client.post("/orders", json=ORDER, headers={"Idempotency-Key": key})
    assert answer.status_code == 202, answer.text
    jobs: list[str] = answer.json()["jobs"]
    return jobs


def test_an_order_is_charged_and_packed_and_a_mail_says_so(client: TestClient, errand_jobs: JobsUnderTest) -> None:
    place(client)
    assert [ran.type for ran in errand_jobs.drain()] == ["charge", "pack", "email"]
    order = client.get("/orders/1").json()
    assert order["paid_at"]
    assert order["packed_at"]
    assert errand_jobs.sent_mails[0].text.strip() == "2 × tea, order 1"


def test_an_order_that_is_sent_twice_is_one_order(client: TestClient, errand_jobs: JobsUnderTest) -> None:
    first = place(client)
    errand_jobs.drain()
    assert place(client) == first
    assert errand_jobs.drain() == []


def test_the_status_of_its_jobs_can_be_read(client: TestClient, errand_jobs: JobsUnderTest) -> None:
    _, pack, _ = place(client)
    errand_jobs.drain()
    job = client.get(f"/errand/v1/jobs/{pack}").json()
    assert (job["status"], job["result"]) == ("finished", "2 in a box")


def test_an_order_that_can_not_be_paid_is_not_packed(
    client: TestClient, errand_jobs: JobsUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decline(order: str, email: str) -> None:
        raise charge.DeclinedError("the card is expired")

    monkeypatch.setattr(charge, "pay", decline)
    jobs = place(client)
    errand_jobs.drain(raise_errors=False)
    assert [errand_jobs.find(id).status for id in jobs] == ["failed", "canceled", "canceled"]
    assert client.get("/orders/1").json()["packed_at"] is None


def test_a_payment_that_fails_once_is_made_later(
    client: TestClient, errand_jobs: JobsUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(order: str, email: str) -> None:
        raise ConnectionError("the provider does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(charge, "pay", fail)
        place(client)
        errand_jobs.drain(raise_errors=False)
    errand_jobs.advance(60)
    errand_jobs.drain()
    assert client.get("/orders/1").json()["packed_at"]
