"""Files with an e-mail: in base64 or by URL, beside the text or within it."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from errand import PermanentError
from errand.builtin.fetching import fetch_attachments
from errand.webhook.fetch import UnreadError
from jobs import email
from tests.mail.reading import build, outline, read_back
from tests.support.job_fixtures import Perform
from tests.support.receivers import Reply, ScriptedService
from tests.support.sinks import ScriptedSink

PDF = bytes(range(256)) * 40
FILE = {"filename": "report.pdf", "content": b64encode(PDF).decode()}
LOGO = {"filename": "logo.png", "content": b64encode(b"\x89PNG").decode(), "content_id": "logo"}
Serve = Callable[..., str]


def refuse(*files: dict[str, Any]) -> list[tuple[Any, str]]:
    with pytest.raises(ValidationError) as caught:
        build(attachments=list(files))
    return [(fault["loc"], fault["msg"].removeprefix("Value error, ")) for fault in caught.value.errors()]


def test_a_file_arrives_whole_with_its_name_and_type() -> None:
    mail = read_back(build(attachments=[FILE]))
    assert outline(mail) == ("multipart/mixed", ["text/plain", "application/pdf"])
    (part,) = mail.iter_attachments()
    assert (part.get_filename(), part.get_content()) == ("report.pdf", PDF)


def test_an_inline_file_is_found_by_the_html() -> None:
    html = '<p>Hi</p><img src="cid:logo">'
    mail = read_back(build(html=html, attachments=[LOGO, FILE]))
    inner = ("multipart/related", [("multipart/alternative", ["text/plain", "text/html"]), "image/png"])
    assert outline(mail) == ("multipart/mixed", [inner, "application/pdf"])
    (image,) = [part for part in mail.walk() if part["Content-ID"]]
    assert (image["Content-ID"], image.get_content_disposition()) == ("<logo>", "inline")


def test_without_html_an_inline_file_is_an_attachment() -> None:
    assert outline(read_back(build(attachments=[LOGO]))) == ("multipart/mixed", ["text/plain", "image/png"])


@pytest.mark.parametrize("name", ["Rechnung März.pdf", "счёт № 5 " * 9 + ".pdf", 'a "b".txt', "請求書.pdf"])
def test_a_file_name_arrives_in_any_script(name: str) -> None:
    (part,) = read_back(build(attachments=[FILE | {"filename": name}])).iter_attachments()
    assert part.get_filename() == name


def test_the_type_is_what_is_said_or_the_names_or_unknown() -> None:
    files = [
        FILE | {"filename": "a.ics", "content_type": "text/calendar; method=REQUEST"},
        FILE | {"filename": "b.xyz1"},
    ]
    first, second = read_back(build(attachments=files)).iter_attachments()
    assert (first["Content-Type"], first["Content-Type"].params["method"]) == (first["Content-Type"], "REQUEST")
    assert [first.get_content_type(), second.get_content_type()] == ["text/calendar", "application/octet-stream"]


def test_base64_in_lines_is_taken() -> None:
    content = "\r\n".join([FILE["content"][:76], FILE["content"][76:]])
    (part,) = read_back(build(attachments=[FILE | {"content": content}])).iter_attachments()
    assert part.get_content() == PDF


def test_an_empty_file_is_one() -> None:
    (part,) = read_back(build(attachments=[FILE | {"content": ""}])).iter_attachments()
    assert part.get_content() == b""


@pytest.mark.parametrize("content", ["%%%", "QQ", "QQ=", "QQ==QQ==", "=", "data:image/png;base64,QQ==", "ä", "Q-_="])
def test_what_is_no_base64_is_refused_at_its_place_with_the_files_name(content: str) -> None:
    faults = refuse(FILE, FILE | {"filename": "x.png", "content": content})
    assert faults == [(("attachments", 1, "content"), "attachment x.png: it is not base64 (RFC 4648, section 4)")]


@pytest.mark.parametrize(
    ("file", "place", "text"),
    [
        ({"filename": "a"}, (), "attachment a: give either content, in base64, or path, an https URL"),
        (FILE | {"path": "https://a.example/a"}, (), "attachment report.pdf: give either content"),
        ({"content": "QQ=="}, (), "give a filename"),
        (FILE | {"filename": "a\nb"}, ("filename",), "write a file's name"),
        (FILE | {"filename": "a/b"}, ("filename",), "write a file's name"),
        (FILE | {"content_type": "pdf"}, ("content_type",), "write a media type"),
        (FILE | {"content_type": "a/b\r\nX: y"}, ("content_type",), "write a media type"),
        (FILE | {"content_type": "message/rfc822"}, ("content_type",), "message/… can't be attached in base64"),
        (FILE | {"content_id": "a b"}, ("content_id",), "write 1 to 128 visible ASCII characters"),
        ({"path": "http://a.example/a"}, ("path",), "write https://…"),
        ({"path": "https://u:p@a.example/a"}, ("path",), "write https://…"),
        ({"path": "https://a.example/a b"}, ("path",), "write https://…"),
    ],
)
def test_what_can_be_no_attachment_is_refused_at_its_place(file: dict[str, Any], place: Any, text: str) -> None:
    ((found, said),) = refuse(file)
    assert found == ("attachments", 0, *place)
    assert said.startswith(text)


def test_two_files_can_not_have_one_content_id() -> None:
    assert refuse(LOGO, LOGO) == [((), "two attachments have the same content_id")]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Serves answers by path over HTTP on this machine, which the guard lets pass here; returns the URL of one."""
    monkeypatch.setenv("WEBHOOK_ALLOW_PRIVATE", "true")

    def add(path: str, content: bytes = PDF, status: int = 200, **headers: str) -> str:
        server.reply(f"GET {path.partition('?')[0]}", Reply(content, status, headers))
        return server.url + path

    with ScriptedService() as server:
        yield add


def fetch(url: str, limit_bytes: int = 100_000, **fields: Any) -> Any:
    message = build(attachments=[{"path": "https://a.example/x", "filename": "x.pdf"}, FILE])
    message.attachments[0].path = url  # http and this machine are refused in a post, whatever the worker may do
    return fetch_attachments(message, limit_bytes)


def test_a_file_is_read_from_its_url(serve: Serve) -> None:
    message = fetch(serve("/report.pdf?token=1"))
    first, _ = read_back(message).iter_attachments()
    assert (first.get_filename(), first.get_content()) == ("x.pdf", PDF)


def test_its_name_is_the_urls_unless_it_has_one() -> None:
    message = build(attachments=[{"path": "https://a.example/files/M%C3%A4rz.pdf?x=1"}])
    assert message.attachments[0].name == "März.pdf"


def test_a_redirect_is_followed_to_where_a_file_may_come_from(serve: Serve) -> None:
    serve("/file")
    assert fetch(serve("/moved", status=302, Location="/file")).attachments[0].size_bytes == len(PDF)
    with pytest.raises(PermanentError, match=r"x\.pdf: .*more than 3 redirects"):
        fetch(serve("/loop", status=302, Location="/loop"))
    with pytest.raises(PermanentError, match=r"x\.pdf: its URL, or where that leads to, is refused: write https"):
        fetch(serve("/ftp", status=302, Location="ftp://127.0.0.1/x"))


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_file_that_is_not_there_fails_the_mail_for_good(serve: Serve, status: int) -> None:
    with pytest.raises(PermanentError, match=f"attachment x.pdf: 127.0.0.1 answered {status}"):
        fetch(serve("/x", status=status))


@pytest.mark.parametrize("status", [204, 408, 429, 500, 503])
def test_a_file_that_can_not_be_read_now_is_tried_again(serve: Serve, status: int) -> None:
    with pytest.raises(UnreadError, match=f"attachment x.pdf: 127.0.0.1 answered {status}"):
        fetch(serve("/x", b"", status=status))


def test_a_file_that_ends_early_is_tried_again(serve: Serve) -> None:
    with pytest.raises(UnreadError, match=r"attachment x.pdf: 127.0.0.1: "):
        fetch(serve("/x", b"abc", **{"Content-Length": "10", "Connection": "close"}))


def test_files_have_so_many_bytes_together(serve: Serve) -> None:
    url = serve("/x")
    assert fetch(url, 2 * len(PDF))
    with pytest.raises(
        PermanentError, match=r"attachment x\.pdf: .* larger than the 10,239 bytes that are left for it"
    ):
        fetch(url, 2 * len(PDF) - 1)


def test_a_private_address_is_refused_for_good(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBHOOK_ALLOW_PRIVATE")
    for url in ("https://127.0.0.1/x", "https://localhost/x", "https://10.0.0.1/x", "http://example.com/x"):
        with pytest.raises(PermanentError, match=r"attachment x\.pdf: "):
            fetch(url)


def test_a_plain_worker_sends_a_file(sink: ScriptedSink, perform: Perform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", sink.url)
    monkeypatch.setenv("MAIL_FROM", "errand@example.com")
    stored = email.run.payload.bind(build(html="<p>Hi</p>", attachments=[FILE, LOGO]))
    assert perform("email", stored).get_status() == "finished"
    names = [part.get_filename() for part in sink.mails[0].message.walk() if part.get_filename()]
    assert names == ["logo.png", "report.pdf"]
