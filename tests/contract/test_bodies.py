"""What of a payload is cut out, and how it is put together again."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue

from errand.contract.bodies import MARK, BodyGoneError, is_large, list_bodies, put_together, take_apart
from errand.contract.errors import InvalidPayloadError, NotFiniteError
from errand.contract.payload import read_payload
from errand.redis.keys import BODY_BYTES

LONG = "x" * 70_000


def join(stored: dict[str, Any], bodies: dict[str, bytes], whole: str | None = None) -> Any:
    return json.loads(put_together(json.loads(json.dumps(stored)), whole, lambda name, size: bodies[name]))


def test_a_long_string_is_cut_out_under_the_sha_256_of_its_json() -> None:
    stored, bodies = take_apart({"message": {"to": "a", "html": LONG}}, "message")
    name = hashlib.sha256(json.dumps(LONG).encode()).hexdigest()
    assert bodies == {name: json.dumps(LONG).encode()}
    assert json.loads(json.dumps(stored)) == {
        MARK: {"payload": {"message": {"to": "a", "html": None}}, "cut": [[["message", "html"], name, 70_002]]}
    }
    assert list_bodies(stored) == [(name, 70_002)]


def test_the_same_string_twice_is_one_body() -> None:
    stored, bodies = take_apart({"a": [LONG, {"b": LONG}], "c": "short"}, None)
    assert len(bodies) == 1
    assert join(stored, bodies) == {"a": [LONG, {"b": LONG}], "c": "short"}


def test_what_is_small_stays_as_it_is() -> None:
    payload = {"text": "x" * 60_000, "n": [1, None, 2.5]}
    assert take_apart(payload, None) == (payload, {})


@pytest.mark.parametrize(("size", "cut"), [(BODY_BYTES, [[]]), (BODY_BYTES + 1, [["text"]])])
def test_a_string_whose_json_is_larger_than_the_limit_is_a_body_of_its_own(size: int, cut: list[Any]) -> None:
    stored, _ = take_apart({"text": "x" * (size - len('""'))}, None)
    assert [list(path) for path, _, _ in stored[MARK]["cut"]] == cut


@pytest.mark.parametrize(("size", "is_whole"), [(BODY_BYTES, True), (BODY_BYTES + 1, False)])
def test_a_payload_may_have_as_many_bytes_as_the_limit(size: int, is_whole: bool) -> None:
    payload = {"a": "x" * (size - len('{"a":""}'))}
    assert (take_apart(payload, None) == (payload, {})) is is_whole


def test_text_counts_as_it_is_stored_in_utf_8() -> None:
    payload = {"text": "é" * 30_000}
    assert take_apart(payload, None) == (payload, {})


def test_a_string_that_is_not_long_stays_beside_one_that_is() -> None:
    stored, _ = take_apart({"note": "y" * 30_000, "html": LONG}, None)
    assert stored[MARK]["payload"] == {"note": "y" * 30_000, "html": None}


@pytest.mark.parametrize("whole", [None, "message"])
def test_a_payload_of_many_small_things_is_cut_out_as_a_whole(whole: str | None) -> None:
    lines = {"lines": [{"text": f"line {number} {LONG[:50]}"} for number in range(1000)], "long": LONG}
    payload = {whole: lines} if whole else lines
    stored, bodies = take_apart(payload, whole)
    assert len(json.dumps(stored)) < 200
    assert join(stored, bodies, whole) == lines


@pytest.mark.parametrize("mark", [7, {}, {"cut": []}, {"cut": [[["value"], "aa", 1]], "payload": 7}])
def test_a_damaged_mark_is_reported(mark: Any) -> None:
    with pytest.raises(BodyGoneError, match="damaged"):
        put_together({MARK: mark}, None, lambda name, size: b"1")


def test_a_worker_that_does_not_know_of_bodies_refuses_the_payload() -> None:
    class Mail(BaseModel):
        html: str | None = None

    def run(mail: Mail) -> None: ...

    def run_parts(html: str | None = None) -> None: ...

    for function in (run, run_parts):
        payload = read_payload(function, "jobs/x.py")
        stored, _ = payload.dump_apart(payload.model(html=LONG))
        with pytest.raises(InvalidPayloadError):
            payload.load(stored)


def test_only_that_parameter_is_put_together() -> None:
    stored, bodies = take_apart({"message": {"html": LONG}}, "message")
    assert join(stored, bodies, "message") == {"html": LONG}


STRINGS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=30)  # each takes apart and puts together some 300 kB
@given(
    st.recursive(STRINGS | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(STRINGS, inner))
)
def test_whatever_is_cut_out_comes_together_again(value: Any) -> None:
    payload = {"value": value, "large": '"\\é\u2028🙂' * 20_000, MARK[:6]: [f'"{"0" * 32}0"']}
    assert join(*take_apart(payload, None)) == payload


@pytest.mark.parametrize("value", [[float("nan"), LONG], [float("inf")] * 30_000])
def test_a_number_that_json_can_not_hold_is_found(value: Any) -> None:
    def run(value: JsonValue) -> None: ...

    payload = read_payload(run, "jobs/x.py")
    with pytest.raises(NotFiniteError):
        payload.dump_apart(payload.model.model_construct(value=value))


def test_a_model_comes_back_as_it_was() -> None:
    class Mail(BaseModel):
        to: list[str]
        html: str = ""
        text: str = "none"

    def run(mail: Mail) -> None: ...

    payload = read_payload(run, "jobs/x.py")
    mail = payload.model(to=["a"], html=LONG)
    stored, bodies = payload.dump_apart(mail)
    assert payload.load(json.loads(json.dumps(stored)), lambda name, size: bodies[name]) == {"mail": mail}


@pytest.mark.parametrize(
    "entries",
    [
        7,
        [7],
        [[["value"], "aa", "x"]],
        [[["nothing"], "aa", 1]],
        [[["value", "deeper"], "aa", 1]],
        [[["given"], "aa", 1]],
        [[[], "aa", 1], [[], "aa", 1]],
    ],
)
def test_damaged_entries_are_reported(entries: Any) -> None:
    stored = {MARK: {"payload": {"value": None, "given": "x"}, "cut": entries}}
    with pytest.raises(BodyGoneError, match="damaged"):
        put_together(stored, None, lambda name, size: b"1")


@pytest.mark.parametrize(("payload", "answer"), [({"a": "x" * 9000}, False), ({"a": ["x" * 6000, "x" * 6000]}, True)])
def test_what_may_be_large_is_found_without_writing_it(payload: Any, answer: bool) -> None:
    assert is_large(payload) is answer


@pytest.mark.parametrize(
    ("payload", "most"),  # 6 bytes a character, 24 for what else there is, 4 beside each
    [(["x", "y"], 20), ([1, None], 56), ({"ab": "x"}, 26), ([["x"], ["y"]], 28), ({"a": {"b": [2.5]}}, 56), ([], 0)],
)
def test_what_may_be_large_is_found_to_the_byte(payload: Any, most: int) -> None:
    assert [is_large(payload, limit) for limit in (most - 1, most)] == [True, False]
    if payload:
        assert is_large(payload, 10)  # also where the first of it fills the limit exactly
