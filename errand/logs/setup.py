"""Which form the lines of a stream have."""

import logging
from typing import Any

from errand.logs.form import JsonForm, ShortForm
from errand.logs.reader import is_read_along, is_terminal, is_under_up


def build_form(stream: Any, worker: str = "") -> logging.Formatter:
    """Return the form of lines that go to a stream."""
    if is_read_along(stream):
        return ShortForm(has_time=not is_under_up(), has_colour=is_terminal(stream))
    return JsonForm(worker)


def give_form(handler: logging.Handler, worker: str = "") -> None:
    """Let a handler write its lines in the form that fits its stream."""
    handler.setFormatter(build_form(getattr(handler, "stream", None), worker))
