"""Templates: what they render, when, and what is said where they can't be rendered."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from redis import Redis
from starlette.testclient import TestClient

from errand.mail.message import Message
from errand.mail.settings import MailSettings
from errand.mail.templates import TemplatesError, list_templates
from errand.redis.settings import SettingsError, read_settings
from jobs import email
from tests.cli.conftest import run_errand
from tests.mail.reading import read_back, read_text
from tests.support.job_fixtures import Perform
from tests.support.sinks import ScriptedSink

FILES = {
    "order/subject.txt": "Order {{ number }} for {{ name }}\n",
    "order/html.html": "<p>Dear {{ name }}, {{ nick|default('you') }}</p>"
    "{% for one in lines %}<i>{{ one.name }}</i>{% endfor %}",
    "order/text.txt": "Dear {{ name }}\n{% if link is defined %}{{ link }}{% endif %}",
    "bare/html.html": "{% extends '_base.html' %}{% block body %}{{ body }}{% endblock %}",
    "_base.html": "<h1>{{ title }}</h1>{% block body %}{% endblock %}",
}
GIVEN = {"number": 7, "name": "Ada & <Bo>", "lines": [{"name": "Tea"}]}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = folder / "templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, FILES)
    monkeypatch.chdir(tmp_path)


def build(id: str = "order", **fields: Any) -> Message:
    template = {"id": id, "variables": fields.pop("variables", GIVEN)}
    return Message.model_validate({"to": "ada@example.com", "template": template} | fields)


def refuse(**fields: Any) -> list[tuple[Any, str]]:
    with pytest.raises(ValidationError) as caught:
        build(**fields)
    return [(fault["loc"], fault["msg"].removeprefix("Value error, ")) for fault in caught.value.errors()]


def test_what_is_stored_is_rendered_and_names_no_template() -> None:
    stored = email.run.payload.bind(build())["message"]
    assert stored == {
        "to": ["ada@example.com"],
        "subject": "Order 7 for Ada & <Bo>",
        "html": "<p>Dear Ada &amp; &lt;Bo&gt;, you</p><i>Tea</i>",
        "text": "Dear Ada & <Bo>\n",
    }


def test_a_post_stores_what_its_template_gave_then(client: TestClient, redis: Redis) -> None:
    body = {"to": "ada@example.com", "template": {"id": "order", "variables": GIVEN}}
    answer = client.post("/v1/jobs/email", json=body)
    assert answer.status_code == 202
    data = str(redis.hget(f"rq:job:{answer.json()['id']}", "data"))
    assert "template" not in data
    batch = client.post("/v1/batches/email", json={"items": [body, body]})
    assert batch.status_code == 202


def test_the_same_request_is_the_same_after_a_template_has_changed(client: TestClient, tmp_path: Path) -> None:
    body = {"to": "ada@example.com", "template": {"id": "order", "variables": GIVEN}}
    first = client.post("/v1/jobs/email", json=body, headers={"Idempotency-Key": "k"})
    write(tmp_path / "deployed", FILES | {"order/text.txt": "Hello {{ name }}"})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path / "deployed")
        again = client.post("/v1/jobs/email", json=body, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])


def test_a_post_that_lacks_variables_hears_of_all_of_them_at_their_place(client: TestClient) -> None:
    body = {"to": "ada@example.com", "template": {"id": "order", "variables": {"number": 1}}}
    answer = client.post("/v1/jobs/email", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "#/template/variables", "detail": "template order lacks lines, name"}
    ]


def test_a_template_that_is_not_there_is_reported_with_those_that_are(client: TestClient) -> None:
    answer = client.post("/v1/jobs/email", json={"to": "ada@example.com", "template": {"id": "../x"}})
    assert answer.json()["errors"] == [
        {"pointer": "#/template/id", "detail": "there is no template '../x'; there are bare, order"}
    ]


def test_a_variable_of_a_template_that_is_extended_is_missed_too() -> None:
    assert refuse(id="bare", variables={}, subject="s") == [
        (("template", "variables"), "template bare lacks body, title")
    ]


def test_a_part_of_a_variable_that_is_missing_is_reported_with_the_file() -> None:
    ((place, text),) = refuse(variables=GIVEN | {"lines": [{}]})
    assert (place, text) == (
        ("template", "variables"),
        "templates/order/html.html: 'dict object' has no attribute 'name'",
    )


def test_a_value_that_does_not_fit_is_reported_with_the_file() -> None:
    ((_, text),) = refuse(variables=GIVEN | {"lines": 7})
    assert text.startswith("templates/order/html.html: TypeError: ")


def test_a_line_break_in_a_rendered_subject_is_refused() -> None:
    ((place, text),) = refuse(variables=GIVEN | {"name": "Ada\nBcc: x@example.com"})
    assert (place, text[:36]) == (("template", "variables"), "the subject would hold a line break ")


def test_a_rendered_nul_is_refused() -> None:
    ((_, text),) = refuse(variables=GIVEN | {"lines": [{"name": "\0"}]})
    assert text == "it can't hold U+0000, which no e-mail can"


def test_a_subject_given_goes_before_the_templates() -> None:
    assert build(subject="Mine").to_stored().subject == "Mine"


def test_a_template_without_a_subject_needs_one() -> None:
    variables = {"title": "T", "body": "B"}
    assert refuse(id="bare", variables=variables) == [
        (("subject",), "template bare has no subject.txt; give a subject")
    ]
    assert build(id="bare", variables=variables, subject="s").to_stored().html == "<h1>T</h1>B"


def test_a_template_and_a_body_are_refused_together() -> None:
    assert refuse(html="x") == [((), "the template gives text and html; leave them out, or leave out the template")]


def test_without_a_template_a_subject_is_required() -> None:
    with pytest.raises(ValidationError) as caught:
        Message.model_validate({"to": "ada@example.com", "text": "x"})
    assert [(fault["loc"], fault["type"]) for fault in caught.value.errors()] == [(("subject",), "missing")]


def test_data_runs_no_code() -> None:
    variables = GIVEN | {"name": "{{ 7 * 7 }}{% for x in ().__class__.__mro__ %}x{% endfor %}"}
    assert str(build(variables=variables).to_stored().text).startswith("Dear {{ 7 * 7 }}{% for")


def test_a_template_reaches_no_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a", {"bad/text.txt": "{{ ''.__class__.__mro__ }}{{ lines.append(1) }}"})
    monkeypatch.chdir(tmp_path / "a")
    ((_, text),) = refuse(id="bad", variables={"lines": []}, subject="s")
    assert text.startswith("templates/bad/text.txt: ")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"x/html.html": "a\n{% if %}"}, "templates/x/html.html: line 2: "),
        ({"x/text.txt": "{{ a", "_b.html": "{% endfor %}"}, "templates/_b.html: line 1: "),
        ({"x/text.txt": "{{ a|nosuch }}"}, "templates/x/text.txt: line 1: No filter named 'nosuch'"),
        ({"x/subject.txt": "a"}, "templates/x: there is neither html.html nor text.txt"),
        ({"X y/text.txt": "a"}, "templates/X y: the folder's name is the template's id"),
    ],
)
def test_a_template_that_is_wrong_stops_the_start_with_its_file_and_line(
    files: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "wrong", files)
    monkeypatch.chdir(tmp_path / "wrong")
    with pytest.raises(TemplatesError) as caught:
        list_templates()
    assert said in str(caught.value)
    monkeypatch.setenv("SMTP_URL", "smtp://localhost")
    monkeypatch.setenv("MAIL_FROM", "a@example.com")
    with pytest.raises(SettingsError) as stopped:
        read_settings(MailSettings, "jobs/email.py")
    assert said in str(stopped.value)


def test_without_templates_none_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "none").mkdir()
    monkeypatch.chdir(tmp_path / "none")
    assert refuse(id="x") == [(("template", "id"), "there is no template 'x'; there is none in templates/")]


def test_a_plain_call_sends_what_the_template_gives(sink: ScriptedSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", sink.url)
    monkeypatch.setenv("MAIL_FROM", "a@example.com")
    email.run(build())
    assert sink.mails[0].message["Subject"] == "Order 7 for Ada & <Bo>"


def test_a_plain_worker_needs_no_template(
    sink: ScriptedSink, perform: Perform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stored = email.run.payload.bind(build())
    (tmp_path / "none").mkdir()
    monkeypatch.chdir(tmp_path / "none")
    monkeypatch.setenv("SMTP_URL", sink.url)
    monkeypatch.setenv("MAIL_FROM", "a@example.com")
    assert perform("email", stored).get_status() == "finished"
    assert sink.mails[0].message["Subject"] == "Order 7 for Ada & <Bo>"


class TestThoseThatAreThere:
    @pytest.fixture(autouse=True)
    def _home(self, monkeypatch: pytest.MonkeyPatch, _folder: None) -> None:
        monkeypatch.chdir(Path(__file__).parents[2])

    WELCOME = {"name": "Ada", "product": "Acme", "link": "https://acme.example/c/1?a=1&b=2"}
    RECEIPT = {
        "name": "Ada",
        "order": "10482",
        "date": "24 December 2026",
        "total": "€ 46.90",
        "items": [{"name": "Tea", "count": 2, "price": "€ 31.00"}, {"name": "Pot", "price": "€ 15.90"}],
    }

    @pytest.mark.parametrize(
        ("id", "variables", "words"),
        [
            ("welcome", WELCOME, "https://acme.example/c/1?a=1&b=2"),
            ("receipt", RECEIPT, "- Tea × 2: € 31.00\n- Pot: € 15.90\n\nTotal: € 46.90\n"),
        ],
    )
    def test_each_gives_a_whole_mail(self, id: str, variables: dict[str, Any], words: str) -> None:
        mail = read_back(build(id=id, variables=variables).to_stored())
        plain, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
        assert words in read_text(plain)  # type: ignore[arg-type]
        assert '<meta name="color-scheme" content="light dark">' in read_text(html)  # type: ignore[arg-type]

    @pytest.mark.quick
    def test_the_preview_prints_the_parts_or_writes_them(self, tmp_path: Path) -> None:
        fields = [word for name, value in self.WELCOME.items() for word in ("-f", f"{name}={value}")]
        found = run_errand("mail", "preview", "welcome", *fields)
        assert (found.code, found.err) == (0, "")
        assert found.out.startswith("--- subject.txt\nWelcome to Acme, Ada\n\n--- text.txt\nWelcome, Ada\n")
        found = run_errand("mail", "preview", "welcome", *fields, "--to", str(tmp_path / "out"))
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["html.html", "subject.txt", "text.txt"]

    @pytest.mark.quick
    def test_the_preview_says_what_is_missing(self) -> None:
        found = run_errand("mail", "preview", "welcome", "-f", "name=Ada")
        assert (found.code, found.err) == (2, "errand: template welcome lacks link, product\n")
        found = run_errand("mail", "preview", "nope")
        assert (found.code, found.err) == (2, "errand: there is no template 'nope'; there are receipt, welcome\n")
