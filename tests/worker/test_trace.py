"""Tracebacks as they are stored."""

from errand.worker.trace import LIMIT, format_trace


def test_a_very_long_one_keeps_its_ends() -> None:
    text = format_trace(ValueError("a" + "x" * 3 * LIMIT + "z"))
    assert len(text) <= LIMIT + 3
    assert text.startswith("ValueError: ax")
    assert text.rstrip().endswith("xz")


def test_text_that_utf_8_cannot_hold_is_replaced() -> None:
    assert format_trace(ValueError("\ud800")) == "ValueError: ?\n"
