"""The mails that the local server has kept, as the console shows them."""

import os
import re
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from redis import Redis
from starlette.testclient import TestClient

from errand.api.console.mail import folder as module
from errand.api.console.mail.fields import decode
from errand.api.settings import ApiSettings
from errand.api.store import build_store
from errand.mail.compose import compose
from errand.mail.format.addresses import Mailbox
from errand.mail.message import Message
from errand.store.settings import QueueSettings
from tests.support.connectors import build_connector, create_app
from tests.support.job_types import TYPES

NAMES = count(1_790_000_000_000_000_000, 1_000_000_000)
PIXEL = b"\x89PNG\r\n\x1a\n"
Keep = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mail")


@pytest.fixture(scope="module")
def app(folder: Path) -> FastAPI:
    settings = ApiSettings(ERRAND_LOCAL=True, ERRAND_MAIL_FOLDER=f"{folder}")
    return create_app(settings, QueueSettings(REDIS_URL="redis://fake.invalid"), TYPES)


@pytest.fixture
def client(app: FastAPI, folder: Path, queue_settings: QueueSettings, redis: Redis) -> Iterator[TestClient]:
    for path in folder.iterdir():
        path.unlink()
    app.state.store = build_store(build_connector(queue_settings.redis_url), queue_settings, app.state.store.types)
    with TestClient(app, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def keep(folder: Path) -> Keep:
    """Keeps a mail as the local server does, and returns its name."""

    def keep(message: EmailMessage | bytes, to: str = "ada@example.com") -> str:
        content = message if isinstance(message, bytes) else message.as_bytes()
        name = f"{next(NAMES)}"
        (folder / f"{name}.eml").write_bytes(f"X-Envelope-To: {to}\r\n".encode() + content)
        return name

    return keep


def write(subject: str = "Hello", text: str = "Good day", html: str = "") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Errand <errand@example.com>", "ada@example.com", subject
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    return message


def test_it_is_there_beside_the_local_mail_server_alone(build_app: Callable[[str], FastAPI], redis_url: str) -> None:
    client = TestClient(build_app(redis_url), base_url="http://localhost")
    assert client.get("/console/mail").status_code == 404
    assert "/console/mail" not in client.get("/console/workers").text


def test_mails_are_listed_newest_first(client: TestClient, keep: Keep) -> None:
    assert "No mail yet" in client.get("/console/mail").text
    keep(write("First"))
    keep(write("Grüße aus Köln"), to="a@example.com, b@example.com, c@example.com, d@example.com")
    page = client.get("/console/mail").text
    assert 0 < page.index("Grüße aus Köln") < page.index("First")
    assert "a@example.com, b@example.com, c@example.com" in page
    assert "and 1 more" in page
    assert "Errand &lt;errand@example.com&gt;" in page


def test_one_goes_from_page_to_page_through_all_mails(
    client: TestClient, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LISTED", 2)
    names = [keep(write()) for _ in range(5)]
    seen, path = [], "/console/mail"
    while path:
        page = client.get(path).text
        seen += re.findall(r'id="mail-(\d+)"', page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        path = older[1] if older else ""
    assert seen == names[::-1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n\r\nbody",
        b"\xff\xfe\x00" * 1000,
        b"Subject: =?utf-8?b?!!!?= =?none?q?x?= =?undefined?q?x?=\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" * 3 + b"--x\r\n" * 3000,
        b"Content-Type: text/html; charset=rot13\r\nContent-Transfer-Encoding: base64\r\n\r\n\xff\xff",
        b"".join(b"Content-Type: multipart/x; boundary=%d\r\n\r\n--%d\r\n" % (i, i) for i in range(2000)),
        b"From: " + b"(" * 100_000 + b"\r\nTo: " + b"<" * 100_000 + b"\r\n\r\n",
        b"Content-Disposition: attachment; filename*=x'y'%ff; filename*0*=\xff\r\n\r\n",
    ],
)
def test_a_damaged_mail_costs_its_own_row_at_most(client: TestClient, keep: Keep, content: bytes) -> None:
    damaged, whole = keep(content), keep(write("Whole"))
    page = client.get("/console/mail")
    assert page.status_code == 200
    assert {damaged, whole} <= set(re.findall(r'id="mail-(\d+)"', page.text))
    for path in ("", "/source"):
        assert client.get(f"/console/mail/{damaged}{path}").status_code == 200, path
    assert client.get(f"/console/mail/{damaged}/frame").status_code in (200, 404)


def test_what_else_lies_in_the_folder_is_no_mail(client: TestClient, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"Subject: secret\r\n\r\n")
    name = f"{next(NAMES)}"
    (folder / f"{name}.eml").symlink_to(tmp_path / "secret")
    (folder / "1790000000000000000.part").write_bytes(b"Subject: half\r\n\r\n")
    (folder / "note.eml").write_bytes(b"Subject: note\r\n\r\n")
    os.mkfifo(folder / f"{next(NAMES)}.eml")
    assert "No mail yet" in client.get("/console/mail").text
    for asked in (name, "note", "1790000000000000000", "..%2fsecret", "%2e%2e", "x" * 500, "1" * 19):
        for path in ("", "/frame", "/source", "/files/0"):
            assert client.get(f"/console/mail/{asked}{path}").status_code == 404, (asked, path)


def test_a_mail_shows_text_headers_and_source(client: TestClient, keep: Keep) -> None:
    message = write("Grüße", "<b>bold</b>\nsecond line")
    message["X-Tag"] = "<script>alert(1)</script>"
    name = keep(message, to="hidden@example.com")
    page = client.get(f"/console/mail/{name}").text
    assert "<h1>Grüße</h1>" in page
    assert "&lt;b&gt;bold&lt;/b&gt;\nsecond line" in page
    assert "<dt>X-Tag</dt><dd>&lt;script&gt;alert(1)&lt;/script&gt;</dd>" in page
    assert "<dt>To</dt><dd>hidden@example.com" in page
    assert "<iframe" not in page
    source = client.get(f"/console/mail/{name}/source")
    assert source.content.startswith(b"X-Envelope-To: hidden@example.com\r\n")
    assert source.headers["content-type"] == "text/plain; charset=utf-8"
    assert source.headers["x-content-type-options"] == "nosniff"


def test_the_html_is_a_page_of_its_own_that_may_do_nothing(client: TestClient, keep: Keep) -> None:
    name = keep(write(html="<p>Grüße</p><script>alert(1)</script>"))
    assert f'<iframe src="/console/mail/{name}/frame" sandbox ' in client.get(f"/console/mail/{name}").text
    frame = client.get(f"/console/mail/{name}/frame")
    assert "<p>Grüße</p>" in frame.text
    assert frame.headers["content-type"] == "text/html; charset=utf-8"
    assert frame.headers["content-security-policy"] == (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data: cid:; frame-ancestors 'self'"
    )
    assert frame.headers["x-frame-options"] == "SAMEORIGIN"


def test_links_are_beside_the_frame_where_none_leads_away(client: TestClient, keep: Keep) -> None:
    html = """<a class=x href="https://example.com/confirm?a=1&amp;b=2">x</a> <a href='javascript:alert(1)'>x</a>
        <A HREF=http://other.example>x</A><a href="https://example.com/confirm?a=1&amp;b=2">again</a>
        <a href=/here>x</a>"""
    page = client.get(f"/console/mail/{keep(write(html=html))}").text
    found = re.findall(r'<a href="([^"]+)" target="_blank" rel="noopener noreferrer">', page)
    assert found == ["https://example.com/confirm?a=1&amp;b=2", "http://other.example"]
    assert (
        'href="https://example.com/b" target'
        in client.get(f"/console/mail/{keep(write(text='see (https://example.com/b)'))}").text
    )


def test_images_that_the_mail_brings_are_in_the_frame(client: TestClient, keep: Keep) -> None:
    message = write(html='<img src="cid:logo@example.com"><img src=cid:other><link rel=preconnect href=//evil.example>')
    parts: Any = message.get_payload()
    parts[1].add_related(PIXEL, "image", "png", cid="<logo@example.com>", filename="logo.png")
    name = keep(message)
    frame = client.get(f"/console/mail/{name}/frame").text
    assert '<img src="data:image/png;base64,iVBORw0KGgo="><img src=cid:other><x-link ' in frame
    page = client.get(f"/console/mail/{name}").text
    assert "logo.png</a>" in page
    assert "inline" in page


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("invoice.pdf", "invoice.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("Größe – 1.txt", "Größe – 1.txt"),
        ('a"b\\c;d.txt', "a_b_c;d.txt"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe"),
        ("x" * 300 + ".txt", "x" * 96 + ".txt"),
        ("...", "part-1"),
    ],
)
def test_an_attachment_is_a_download_under_a_safe_name(client: TestClient, keep: Keep, given: str, kept: str) -> None:
    message = write()
    message.add_attachment(b"<script>", maintype="text", subtype="html", filename=given)
    name = keep(message)
    assert f">{kept}</a>".replace('"', "") in client.get(f"/console/mail/{name}").text
    answer = client.get(f"/console/mail/{name}/files/1")
    assert answer.content == b"<script>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith('attachment; filename="')
    assert not re.search(r"[\\/\r\n]", disposition)
    for number in ("7", "x", "-1", "99999"):
        assert client.get(f"/console/mail/{name}/files/{number}").status_code == 404


def test_a_mail_and_its_job_lead_to_each_other(client: TestClient, keep: Keep) -> None:
    id = client.post("/v1/jobs/email", json={"to": ["ada@example.com"], "subject": "s", "text": "t"}).json()["id"]
    mail = compose(Message(to=["ada@example.com"], subject="s", text="t"), Mailbox("", "e@example.com"), id)
    name = keep(mail)
    page = client.get(f"/console/mail/{name}").text
    assert f'href="/console/jobs/{id}"' in page
    assert f'href="/console/mail/{name}"' in client.get(f"/console/jobs/{id}").text
    gone = keep(mail.replace(id.encode(), id[::-1].replace("-", "0")[:8].encode() + id[8:].encode()))
    assert "has expired" in client.get(f"/console/mail/{gone}").text


def test_a_large_text_is_cut_and_a_large_mail_not_read(
    client: TestClient, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = keep(write(text="x" * 300_000))
    page = client.get(f"/console/mail/{name}").text
    assert "more characters are in its source" in page
    assert len(page) < 250_000
    monkeypatch.setattr("errand.api.console.mail.message.BYTES_LIMIT", 1000)
    assert "too large to be shown" in client.get(f"/console/mail/{keep(write(text='x' * 2000))}").text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?UTF-8?B?R3LDvMOf?= =?utf-8?q?e_aus?= Rom", "Grüße aus Rom"),
        ("=?iso-8859-1*de?q?=FC?=", "ü"),
        ("two\r\n lines\x00", "two  lines"),
        ("=?hex?q?00?=", "=?hex?q?00?="),
        ("Gr\udcc3\udcbc", "Grü"),
    ],
)
def test_fields_are_decoded_where_they_can_be(raw: str, shown: str) -> None:
    assert decode(raw) == shown
