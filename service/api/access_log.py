"""uvicorn's access log, without query strings: they may hold a message."""

import logging


def hide_queries() -> None:
    """Cut the query string from every access line of this process."""
    logging.getLogger("uvicorn.access").addFilter(_cut)


def _cut(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple) and len(record.args) == 5:
        client, method, path, *rest = record.args
        record.args = (client, method, str(path).partition("?")[0], *rest)
    return True
