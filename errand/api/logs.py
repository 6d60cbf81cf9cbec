"""The format of what the API and uvicorn log; handlers that somebody configured keep their own."""

import logging

from uvicorn.config import LOGGING_CONFIG

from errand.api.http.access_log import ACCESS, hide_values
from errand.service_log.setup import set_formatter

_OWN = {kind["()"]: kind["fmt"] for kind in LOGGING_CONFIG["formatters"].values()}


def form_logs() -> None:
    """Give the root handler, and those that uvicorn sets up by itself, our format."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler())
        root.setLevel(logging.INFO)
        set_formatter(root.handlers[0])
    for handler in logging.getLogger("uvicorn").handlers:
        if is_uvicorns_own(handler):
            set_formatter(handler)
    logging.getLogger(ACCESS).addFilter(hide_values)


def logs_access_as_ever() -> bool:
    """Return whether uvicorn is to log requests in its own format: nobody has configured another."""
    handlers = logging.getLogger(ACCESS).handlers
    return bool(handlers) and all(map(is_uvicorns_own, handlers))


def is_uvicorns_own(handler: logging.Handler) -> bool:
    """Return whether a handler is as uvicorn (0.54) sets it up."""
    kind = type(handler.formatter)
    return handler.formatter is not None and _OWN.get(f"{kind.__module__}.{kind.__name__}") == handler.formatter._fmt
