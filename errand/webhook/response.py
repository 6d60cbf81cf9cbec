"""The head of an answer: informational answers (1xx) are skipped, and all that comes before the body is bounded."""

from http.client import SWITCHING_PROTOCOLS, HTTPException, HTTPResponse
from typing import Any

INFORMATIONAL_LIMIT = 20  # answers of 1xx before the final one; few servers send more than one
HEAD_BYTES = 64 * 1024  # of all heads together; http.client takes 100 headers of as much each


class HeadLimitError(HTTPException):
    """Raised when an answer's head does not end; the text is ours."""


class FinalResponse(HTTPResponse):
    """The final answer to a request (RFC 9110, section 15.2). http.client itself skips only 100, any number of them."""

    def begin(self) -> None:
        """Read the head. Raises HeadLimitError beside what http.client raises."""
        if self.headers is not None:
            return
        lines, self.fp = self.fp, _HeadLines(self.fp)
        try:
            while True:
                super().begin()
                if self.status >= 200 or self.status == SWITCHING_PROTOCOLS:  # nobody asked for it: it is final, too
                    return
                self.headers = None  # so that the next head is read
        finally:
            if self.fp is not None:
                self.fp = lines


class _HeadLines:
    """The lines of heads, counted; an empty line ends a head."""

    def __init__(self, lines: Any) -> None:
        self._lines = lines
        self._left_bytes = HEAD_BYTES
        self._left_heads = INFORMATIONAL_LIMIT + 1

    def readline(self, limit_bytes: int) -> bytes:
        """Return the next line."""
        if self._left_heads == 0:
            raise HeadLimitError(f"more than {INFORMATIONAL_LIMIT} informational answers (1xx) came before an answer")
        line: bytes = self._lines.readline(limit_bytes)
        self._left_bytes -= len(line)
        if self._left_bytes < 0:
            raise HeadLimitError(f"the head of its answer is larger than {HEAD_BYTES:,} bytes")
        self._left_heads -= line in (b"\r\n", b"\n")
        return line

    def close(self) -> None:
        """Do as http.client asks of what it reads."""
        self._lines.close()

    def flush(self) -> None:
        """Do nothing: it is for reading."""
