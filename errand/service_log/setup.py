"""Which formatter the lines of a stream have."""

import logging
from typing import Any

from errand.service_log.formatters import JsonFormatter, ShortFormatter
from errand.service_log.reader import is_read_along, is_terminal, is_under_up


def build_formatter(stream: Any, worker: str = "") -> logging.Formatter:
    """Return the formatter for a stream: short lines where a person reads along, else JSON."""
    if is_read_along(stream):
        return ShortFormatter(has_time=not is_under_up(), has_colour=is_terminal(stream))
    return JsonFormatter(worker)


def set_formatter(handler: logging.Handler, worker: str = "") -> None:
    """Give a handler the formatter that fits its stream."""
    handler.setFormatter(build_formatter(getattr(handler, "stream", None), worker))
