"""Tracebacks as the service's log has them: types and places, of a chain the last ones."""

from errand.service_log.trace import ERRORS, format_places


def raise_chain(count: int) -> None:
    """Raise an error that others have caused, `count` in all."""
    try:
        if count > 1:
            raise_chain(count - 1)
    finally:
        raise ValueError(f"number {count}")


def test_of_a_long_chain_the_last_errors_are_shown() -> None:
    try:
        raise_chain(3 * ERRORS)
    except ValueError as error:
        text = format_places(error)
    assert text.count("\nValueError") == ERRORS
    assert "number 1" not in text
