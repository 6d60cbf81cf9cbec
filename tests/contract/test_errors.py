"""The errors that job files raise and see."""

from errand import UnfinishedError


def test_what_is_unfinished_says_why_and_holds_its_result() -> None:
    error = UnfinishedError("2 of 3 are sent", {"sent": 2})
    assert (str(error), error.result) == ("2 of 3 are sent", {"sent": 2})
