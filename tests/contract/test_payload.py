"""From a call of run() to what is stored, and back to the arguments."""

import json
import math
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, Json, JsonValue, RootModel, ValidationError, computed_field

from errand import Depends, InvalidPayloadError, NotFiniteError, Progress
from errand.contract.payload import Payload, read_payload


def number() -> int:
    return 7


def read(function: Callable[..., Any]) -> Payload:
    return read_payload(function, "jobs/sms.py")


def run(
    to: str,
    text: str = "Hello",
    day: date | None = None,
    progress: Progress = Progress(),
    db: int = Depends(number),
    id: Annotated[int, Depends(number)] = 0,
) -> None: ...


SMS = read(run)


class Letter(BaseModel):
    """A payload of one model, with all that makes pydantic's dump differ from what it reads."""

    model_config = ConfigDict(strict=True)
    sender: str = Field(alias="from")
    day: date
    extra: Json[list[int]] = Field("[]", validate_default=True)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def weekday(self) -> int:
        return self.day.weekday()


def post(letter: Letter) -> None: ...


def test_positional_and_keyword_arguments_are_stored_by_parameter() -> None:
    assert SMS.bind("ada", text="Hi") == {"to": "ada", "text": "Hi"}


def test_what_is_left_to_its_default_is_not_stored() -> None:
    assert SMS.bind("ada") == {"to": "ada"}


def test_a_default_is_filled_in_when_the_job_runs() -> None:
    assert SMS.load({"to": "ada"}) == {"to": "ada", "text": "Hello", "day": None}


def test_values_are_stored_as_json_and_come_back_as_their_types() -> None:
    stored = SMS.bind("ada", day=date(2026, 2, 3))
    assert stored == {"to": "ada", "day": "2026-02-03"}
    assert SMS.load(json.loads(json.dumps(stored)))["day"] == date(2026, 2, 3)


@pytest.mark.parametrize("name", ["progress", "db", "id"])
def test_a_parameter_that_the_worker_gives_is_refused_in_a_call(name: str) -> None:
    with pytest.raises(TypeError, match=f"^{name} is given by the worker; leave it out$"):
        SMS.bind("ada", **{name: 1})


def test_a_parameter_that_the_worker_gives_is_no_field() -> None:
    assert set(SMS.model.model_fields) == {"to", "text", "day"}
    assert (SMS.progress, SMS.injected) == ("progress", frozenset({"progress", "db", "id"}))


def test_an_unknown_name_in_a_call_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'txt'"):
        SMS.bind("ada", txt="Hi")


def test_a_missing_argument_in_a_call_names_it() -> None:
    with pytest.raises(ValidationError, match=r"to\n  Field required"):
        SMS.bind(text="Hi")


def test_a_stored_payload_that_no_longer_fits_names_each_field() -> None:
    with pytest.raises(InvalidPayloadError) as caught:
        SMS.load({"day": "soon", "cc": "ada"})
    assert str(caught.value) == (
        "the stored payload does not fit this job any more: to: Field required; "
        "day: Input should be a valid date or datetime, input is too short; cc: Extra inputs are not permitted"
    )


@pytest.mark.parametrize("stored", [{}, {"letter": None}, {"letter": []}])
def test_a_stored_payload_of_the_wrong_shape_is_invalid(stored: dict[str, Any]) -> None:
    with pytest.raises(InvalidPayloadError, match="payload: Input should be an object"):
        read(post).load(stored)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_float_that_json_cannot_hold_is_refused(value: float) -> None:
    def run(share: float) -> None: ...

    with pytest.raises(ValidationError, match="Input should be a finite number"):
        read(run).bind(value)


@pytest.mark.parametrize("body", ['{"value": [NaN]}', '{"value": {"a": -Infinity}}', '{"value": 1e999}'])
def test_a_json_value_from_http_that_json_cannot_hold_is_not_stored(body: str) -> None:
    def run(value: JsonValue) -> None: ...

    payload = read(run)
    with pytest.raises(NotFiniteError, match="JSON can't hold"):
        payload.dump(payload.model.model_validate_json(body))


def test_a_number_of_no_stated_type_that_json_cannot_hold_is_not_stored() -> None:
    def run(value: Any) -> None: ...

    with pytest.raises(NotFiniteError):
        read(run).bind([math.nan])


def test_a_model_with_a_number_that_json_cannot_hold_is_not_stored() -> None:
    class Share(BaseModel):
        part: float | None

    def run(share: Share) -> None: ...

    with pytest.raises(NotFiniteError):
        read(run).bind(Share(part=math.nan))


def test_a_lone_model_is_the_whole_body() -> None:
    payload = read(post)
    assert payload.whole == "letter"
    body = payload.model.model_validate_json('{"from": "ada", "day": "2026-02-03"}')
    assert payload.dump(body) == {"letter": {"sender": "ada", "day": "2026-02-03"}}


def test_a_lone_model_refuses_unknown_fields() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        read(post).model.model_validate({"from": "ada", "day": date(2026, 2, 3), "txt": ""})


def test_a_model_that_allows_unknown_fields_keeps_them() -> None:
    class Loose(BaseModel):
        model_config = ConfigDict(extra="allow")

    def run(loose: Loose) -> None: ...

    assert read(run).bind(Loose(colour="red")) == {"loose": {"colour": "red"}}


def test_a_strict_model_with_an_alias_and_a_computed_field_comes_back_as_it_was_sent() -> None:
    letter = Letter.model_validate({"from": "ada", "day": date(2026, 2, 3), "extra": "[1, 2]"})
    payload = read(post)
    stored = json.loads(json.dumps(payload.bind(letter)))
    found = payload.load(stored)["letter"]
    assert isinstance(found, Letter)
    assert (found.sender, found.day, found.extra, found.weekday) == ("ada", date(2026, 2, 3), [1, 2], 1)


def test_a_model_may_be_given_as_a_dict_in_a_call() -> None:
    stored = read(post).bind({"sender": "ada", "day": date(2026, 2, 3)})
    assert stored == {"letter": {"sender": "ada", "day": "2026-02-03"}}


def test_a_root_model_takes_a_list_as_the_body() -> None:
    class Numbers(RootModel[list[int]]): ...

    def run(numbers: Numbers) -> None: ...

    payload = read(run)
    assert payload.load(payload.bind(Numbers([1, 2])))["numbers"].root == [1, 2]


def test_a_model_beside_another_parameter_is_a_field() -> None:
    def run(letter: Letter, copies: int = 1) -> None: ...

    payload = read(run)
    assert payload.whole is None
    stored = payload.bind(Letter.model_validate({"from": "ada", "day": date(2026, 2, 3)}), copies=2)
    assert stored == {"letter": {"sender": "ada", "day": "2026-02-03"}, "copies": 2}
    assert payload.load(stored)["letter"].sender == "ada"


def test_types_that_json_lacks_come_back_as_they_were() -> None:
    def run(price: Decimal, parts: tuple[int, ...], names: set[str], raw: bytes) -> None: ...

    payload = read(run)
    given = {"price": Decimal("1.10"), "parts": (1, 2), "names": {"a"}, "raw": b"x"}
    assert payload.load(json.loads(json.dumps(payload.bind(**given)))) == given


def test_parameters_may_be_called_like_the_attributes_of_a_model() -> None:
    def run(copy: int, json: str, model_fields: int = 1) -> None: ...

    assert read(run).load({"copy": 1, "json": "{}"}) == {"copy": 1, "json": "{}", "model_fields": 1}


def test_a_job_without_parameters_has_an_empty_payload() -> None:
    def run() -> None: ...

    assert read(run).load(read(run).bind()) == {}


def test_a_model_may_be_stored_as_another_one() -> None:
    class Order(BaseModel):
        number: int
        shown: str = ""

        def to_stored(self) -> "Order":
            return Order(number=self.number, shown=f"order {self.number}")

    def run(order):
        """Take one; annotated below, since the class is local to the test."""

    run.__annotations__ = {"order": Order}
    payload = read_payload(run, "jobs/order.py")
    assert payload.bind(Order(number=7)) == {"order": {"number": 7, "shown": "order 7"}}
    assert payload.dump(payload.model.model_validate({"number": 8}))["order"]["shown"] == "order 8"


@pytest.mark.parametrize("text", ['"\\ud800"', f"{'[' * 300}{']' * 300}"], ids=["half a surrogate pair", "too deep"])
def test_what_json_can_hold_and_pydantic_cannot_read_is_a_payload_that_does_not_fit(text: str) -> None:
    def run(given: JsonValue) -> None: ...

    with pytest.raises(InvalidPayloadError, match="does not fit this job any more") as refusal:
        read(run).load({"given": json.loads(text)})
    assert refusal.value.is_stored
