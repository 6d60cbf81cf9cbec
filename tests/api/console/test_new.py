"""The form for a new job, as a browser sends it without scripts."""

import html
import json
import re
import shlex
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import BaseModel, Field, RootModel
from redis import Redis
from starlette.testclient import TestClient

from errand.api.console.new.fields import list_fields
from tests.api.console.conftest import FULL, OURS, READ, sign_in
from tests.support.job_types import TYPES


def send(client: TestClient, type: str, do: str = "send", **fields: str) -> Any:
    """Send the form with these fields in the place of the example's; `o_tries` stands for o.tries."""
    named = {name.replace("_", ".", 1) if name[:2] in ("p_", "o_") else name: value for name, value in fields.items()}
    return client.post(f"/console/new/{type}", data={"form": "fields", "do": do, **named}, headers=OURS)


def read_job(client: TestClient, page: Any) -> dict[str, Any]:
    id = page.url.path.rpartition("/")[2]
    return client.get(f"/v1/jobs/{id}?fields=payload").json()


def read_curl(text: str) -> list[str]:
    (line,) = re.findall(r'<pre id="curl"[^>]*>(.*?)</pre>', text, re.S)
    return shlex.split(html.unescape(line))


def test_all_types_are_listed_each_with_what_it_does(client: TestClient) -> None:
    text = client.get("/console/new").text
    assert all(f'href="/console/new/{type}"' in text for type in TYPES)
    assert 'href="/console/new"' in client.get("/console/jobs").text


@pytest.mark.parametrize("type", TYPES)
def test_a_form_as_it_comes_posts_the_type_s_example(client: TestClient, type: str) -> None:
    text = client.get(f"/console/new/{type}").text
    fields = dict(re.findall(r'<input name="(p\.\w+)"[^>]*? value="([^"]*)"', text))
    fields |= dict(re.findall(r'<textarea name="(p\.\w+)"[^>]*>\n(.*?)</textarea>', text, re.S))
    fields |= {
        name: chosen[0]
        for name, inner in re.findall(r'<select name="(p\.\w+)"[^>]*>(.*?)</select>', text, re.S)
        if (chosen := re.findall(r"<option selected>(.*?)</option>", inner))
    }
    page = send(client, type, **{name: html.unescape(value) for name, value in fields.items()})
    posted = client.post(f"/v1/jobs/{type}", json=TYPES[type].example).json()
    assert read_job(client, page)["payload"] == client.get(f"/v1/jobs/{posted['id']}?fields=payload").json()["payload"]


def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_is_kept(client: TestClient, redis: Redis) -> None:
    page = send(client, "email", p_to="ada", p_text="It <works>.", p_headers="{", o_tries="0", o_webhook="kept")
    assert page.status_code == 422
    faults = dict(re.findall(r'id="e-([\w.]+)">(.*?)</span>', page.text))
    assert faults["p.to"] == "An email address must have an @-sign."
    assert faults["p.headers"].startswith("Invalid JSON: EOF while parsing")
    assert faults["o.tries"] == "Input should be greater than or equal to 1"
    assert "It &lt;works&gt;." in page.text
    assert 'value="kept"' in page.text
    assert "<details open>" in page.text
    assert not redis.keys("rq:job:*")


def test_what_is_wrong_inside_of_a_value_says_where(client: TestClient) -> None:
    page = send(client, "email", p_to='["a@b.example", "ada"]', p_subject="x", p_text="x")
    assert ">1: An email address must have an @-sign.</span>" in page.text


def test_options_are_asked_for_as_the_api_has_them(client: TestClient) -> None:
    page = send(client, "log", p_text="x", o_tag="a  b", o_tries="2", o_delay_seconds="60", o_at_front="true")
    job = read_job(client, page)
    assert (job["tags"], job["retries_left"], job["status"]) == (["a", "b"], 1, "scheduled")
    page = send(client, "log", p_text="x", o_delay_seconds="60", o_run_at="2030-01-01T00:00:00Z")
    assert "give delay_seconds or run_at, not both" in page.text


def test_a_form_that_is_sent_twice_makes_one_job(client: TestClient) -> None:
    key = re.findall(r'name="key" value="(\w+)"', client.get("/console/new/log").text)[0]
    first, again = (send(client, "log", p_text="x", key=key) for _ in range(2))
    assert first.url.path == again.url.path
    assert ("The job is stored." in first.text, "The form was sent twice" in again.text) == (True, True)
    other = send(client, "log", p_text="y", key=key)
    assert "sent before with other values" in other.text
    assert key not in other.text


def test_a_job_that_waits_under_the_unique_key_is_shown_instead(client: TestClient) -> None:
    first = send(client, "log", p_text="x", o_unique_key="k")
    again = send(client, "log", p_text="y", o_unique_key="k")
    assert first.url.path == again.url.path
    assert "with that unique key exists already" in again.text


def test_all_of_it_may_be_sent_as_json(client: TestClient) -> None:
    page = send(client, "log", form="json", json='{"text": "x", "attributes": {"deep": [1]}}')
    assert read_job(client, page)["payload"] == {"text": "x", "attributes": {"deep": [1]}}
    page = send(client, "log", form="json", json='{"text": 1, "other": 2')
    assert (page.status_code, "Invalid JSON: EOF" in page.text) == (422, True)
    assert "/other: Extra inputs" in send(client, "log", form="json", json='{"text": "x", "other": 2}').text


def test_a_form_goes_from_fields_to_json_and_back_with_what_was_typed(client: TestClient, redis: Redis) -> None:
    page = send(client, "log", do="json", p_text="a\r\nb", p_attributes='{"n": 1}', o_tag="kept")
    (text,) = re.findall(r'<textarea class="code" id="json"[^>]*>\n(.*?)</textarea>', page.text, re.S)
    assert json.loads(html.unescape(text)) == {"text": "a\nb", "attributes": {"n": 1}}
    assert 'value="kept"' in page.text
    page = send(client, "log", do="fields", form="json", json='{"text": "back"}')
    assert re.search(r'<textarea name="p.text"[^>]*>\nback</textarea>', page.text)
    page = send(client, "log", do="fields", form="json", json='{"text": "x", "other": 2}')
    assert "Not all of this JSON fits into the fields" in page.text
    assert not redis.keys("rq:job:*")


def test_the_curl_line_posts_what_the_form_would(client: TestClient, redis: Redis) -> None:
    text = 'it\'s "$HOME" `id` \\ & ü\nnext'
    page = send(
        client, "log", do="curl", p_text=text, p_level="error", o_tag="a b", o_run_at="2030-01-01T00:00:00+01:00"
    )
    words = read_curl(page.text)
    assert words[:2] == ["curl", words[1]]
    url = urlsplit(words[1].removeprefix("$ERRAND_URL"))
    assert (url.path, parse_qsl(url.query)) == (
        "/v1/jobs/log",
        [("run_at", "2030-01-01T00:00:00+01:00"), ("tag", "a"), ("tag", "b")],
    )
    assert json.loads(words[words.index("-d") + 1]) == {"text": text, "level": "error"}
    assert "Authorization: Bearer $ERRAND_KEY" in words
    assert not redis.keys("rq:job:*")


def test_with_keys_the_console_s_password_is_enough(guarded: TestClient, redis: Redis) -> None:
    sign_in(guarded, FULL)
    answer = send(guarded, "log", p_text="x", key="0" * 32)
    assert (answer.status_code, len(redis.keys("rq:job:*"))) == (303, 1)


def test_who_may_only_look_has_no_button(guarded: TestClient, redis: Redis) -> None:
    sign_in(guarded, READ)
    assert "Post job" not in guarded.get("/console/new/log").text
    assert send(guarded, "log", p_text="x").status_code == 403
    assert not redis.keys("rq:job:*")


def test_a_type_that_is_not_there_is_a_404_and_a_form_that_is_too_large_says_so(client: TestClient) -> None:
    assert client.get("/console/new/other").status_code == 404
    assert send(client, "other").status_code == 404
    assert send(client, "log", p_text="x" * 1_100_000).status_code == 413


def test_a_large_payload_takes_the_api_s_way_for_large_ones(client: TestClient, redis: Redis) -> None:
    page = send(client, "log", p_text="x" * 70_000)
    assert page.url.path.startswith("/console/jobs/")
    assert redis.keys("errand:body:*")


def test_a_post_is_a_line_of_the_log_without_its_payload(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "errand.api")
    page = send(client, "log", p_text="private")
    id = page.url.path.rpartition("/")[2]
    assert f"Console: job {id} of type log posted, asked for from testclient" in caplog.messages
    send(client, "log", do="curl", p_text="private")
    assert "private" not in caplog.text


class Inner(BaseModel):
    size: int


class Wide(BaseModel):
    line: Annotated[str, Field(max_length=20)]
    text: str = "some"
    number: float | None = None
    flag: bool = False
    word: Literal["one", "two"] = "one"
    level: Literal[1, 2] = 1
    inner: Inner
    several: list[str] = []
    either: str | list[str] = ""
    anything: Any = None


def test_fields_have_the_kinds_of_their_schema() -> None:
    kinds = {field.name: field.kind for field in list_fields(Wide)}
    assert kinds == {
        "line": "line",
        "text": "text",
        "number": "number",
        "flag": "boolean",
        "word": "choice",
        "level": "choice",
        "inner": "json",
        "several": "json",
        "either": "mixed",
        "anything": "json",
    }
    assert list_fields(RootModel[list[int]]) == ()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("line", "7", "7"),
        ("number", "7", 7),
        ("number", "seven", "seven"),
        ("flag", "true", True),
        ("level", "2", 2),
        ("inner", '{"size": 1}', {"size": 1}),
        ("either", "[draft", "[draft"),
        ("either", '["a"]', ["a"]),
        ("either", "a", "a"),
        ("anything", "null", None),
    ],
)
def test_what_is_typed_becomes_a_value_of_its_kind(name: str, text: str, value: Any) -> None:
    (field,) = [field for field in list_fields(Wide) if field.name == name]
    assert (field.read(text), type(field.read(text))) == (value, type(value))
    assert field.read(field.write(value)) == value
