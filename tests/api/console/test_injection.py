"""Text is text: whatever a job, a worker, a schedule or an address says, on every page that there is."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from starlette.testclient import TestClient

from errand.api.console.mount import VIEWS
from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from tests.api.console.conftest import OURS
from tests.api.console.hostile import mark, store_everything, write_mail
from tests.api.stored import Stored
from tests.support.connectors import create_app
from tests.support.console_pages import list_pages
from tests.support.job_types import TYPES

ADDRESSES = {"href", "src", "action", "formaction", "data", "poster", "cite", "srcdoc", "data-from", "data-copy-from"}
# Texts that a page must show, so that the test sees them where they would do harm.
SHOWN = """
    type finished_type queued_type started_type key value item result_key result_value payload queue host state
    served_queue worker ran_on attempt_frame frame failed_error failed_message failed_tag queued_tag
    started_progress failed_batch parked failed_parent child level line traceback held
    sender subject header text to batch_type batch_job schedule schedule_type schedule_key schedule_value run_detail
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def client(folder: Path, queue_settings: QueueSettings) -> Iterator[TestClient]:
    """The API as under `errand up`, with the mails of a folder."""
    app = create_app(ApiSettings(ERRAND_LOCAL=True, ERRAND_MAIL_FOLDER=f"{folder}"), queue_settings, TYPES)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


class Reader(HTMLParser):
    """Reads a page as a browser does: collects what in it came from a text and is none, the texts, and its forms."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.faults: list[str] = []
        self.seen: set[str] = set()
        self.forms: list[tuple[str, dict[str, str]]] = []

    def read(self, html: str) -> "Reader":
        self.feed(html)
        self.close()
        return self

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        for name, value in found.items():
            self._check(tag, name, value)
        if tag in ("script", "img") and not found.get("src", "").startswith("/console/"):
            self.faults.append(f"<{tag} {found}>")
        self._note_form(tag, found)

    def _check(self, tag: str, name: str, value: str) -> None:
        self._note(value)
        is_address = name in ADDRESSES or name.startswith("hx-")
        is_foreign = is_address and re.match(r"\s*(javascript|data|vbscript):", value, re.IGNORECASE)
        if is_foreign or name == "style" or re.match(r"on[a-z]|.*q1", name) or (name == "hx-get" and "q1" in value):
            self.faults.append(f"<{tag} {name}={value[:60]!r}>")
        if is_address and "q1" in value and not value.startswith("/console"):
            self.faults.append(f"<{tag} {name}={value[:60]!r}>")

    def _note(self, text: str) -> None:
        self.seen.update(re.findall(r"q1\.(\w+)", text))

    def handle_data(self, data: str) -> None:
        self._note(data)
        if self.cdata_elem and data.strip():
            self.faults.append(f"<{self.cdata_elem}>{data[:60]}")

    def handle_comment(self, data: str) -> None:
        if "q1" in data:
            self.faults.append(f"<!--{data[:60]}")

    def _note_form(self, tag: str, found: dict[str, str]) -> None:
        if tag == "form" and found.get("method", "").lower() == "post":
            self.forms.append((found.get("action", self.path), {}))
        elif tag in ("input", "textarea", "select", "button") and self.forms and found.get("name"):
            is_kept = found.get("type") in ("hidden", "submit", "checkbox", "radio") or tag == "button"
            self.forms[-1][1][found["name"]] = found.get("value", "") if is_kept else mark(found["name"])


def read_pages(client: TestClient, paths: list[str]) -> Iterator[Reader]:
    for path in paths:
        answer = client.get(path)
        assert answer.status_code < 500, (path, answer.text)
        yield Reader(path).read(answer.text)


def test_no_text_that_is_stored_becomes_markup_on_any_page(client: TestClient, stored: Stored, folder: Path) -> None:
    known = {**store_everything(client, stored), "/mail/{name}": [write_mail(folder)]}
    lists = [f"/console/jobs?status={status}" for status in ("queued", "started", "failed", "finished")]
    pages = list(read_pages(client, [*list_pages(known), *lists]))
    assert {page.path: page.faults for page in pages if page.faults} == {}
    assert set(SHOWN.split()) - {name for page in pages for name in page.seen} == set()


def test_no_text_in_an_address_becomes_markup(client: TestClient) -> None:
    asked = [f"/console{view.path}?{urlencode({name: mark(name)})}" for view in VIEWS for name in view.query]
    asked += [f"/console{view.path}?{urlencode({'done': mark('done'), 'count': mark('count')})}" for view in VIEWS]
    paths = [re.sub(r"\{\w+\}", quote(mark("path").replace("/", "")), path) for path in asked]
    paths += [
        f"/console/{kind}?{urlencode({'q': mark('q'), 'next': mark('next')})}" for kind in ("search", "login", "x")
    ]
    pages = list(read_pages(client, paths))
    assert {page.path: page.faults for page in pages if page.faults} == {}
    assert {"type", "tag", "q", "path"} <= {name for page in pages for name in page.seen}


def test_no_text_in_a_form_becomes_markup(client: TestClient, stored: Stored) -> None:
    """Fill every field of every form on every page, and read the page that comes of it."""
    paths = list_pages(store_everything(client, stored))
    forms = {str(form): form for page in read_pages(client, paths) for form in page.forms}
    assert forms
    faults = {}
    for action, fields in forms.values():
        answer = client.post(action, data=fields, headers=OURS)
        assert answer.status_code < 500, (action, answer.text)
        faults[action] = Reader(action).read(answer.text).faults
    assert {action: found for action, found in faults.items() if found} == {}
