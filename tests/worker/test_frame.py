"""Where in the job's own code an error came from."""

import json
from collections.abc import Callable

from errand.contract.errors import find_frame


def raised_by(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def read_nothing() -> object:
    return json.loads("")


def test_the_frame_is_the_innermost_of_the_jobs_own_code_and_none_of_a_library() -> None:
    frame = find_frame(raised_by(read_nothing))
    assert frame == f"tests/worker/test_frame.py:{read_nothing.__code__.co_firstlineno + 1} in read_nothing"


def test_an_error_without_a_frame_of_its_own_has_none() -> None:
    assert find_frame(ValueError("never raised")) == ""


def test_a_module_whose_name_is_no_text_is_shown_by_its_file() -> None:
    names = {"__name__": 7}
    exec(compile("def run():\n    1 / 0\n", "/srv/app/odd.py", "exec"), names)
    assert find_frame(raised_by(names["run"])) == "odd.py:2 in run"  # type: ignore[arg-type]
