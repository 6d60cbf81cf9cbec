"""A file of lines that survives a full disk."""

from contextlib import suppress
from pathlib import Path


class LineFile:
    """Takes text as an open file does; counts lines that can't be written, and writes their number when it can again.

    `fault` says why the last line was not written, "" where it was. Raises OSError where the file can't be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self._text = ""
        self._lost = 0
        self.fault = ""

    def write(self, text: str) -> int:
        """Keep a text for `flush`, which writes it; return its length."""
        self._text += text
        return len(text)

    def flush(self) -> None:
        """Write the text that is kept, all of it or nothing; what can't be written is dropped and counted."""
        lines = self._text.count("\n")
        lost = f"({self._lost} lines were lost: {self.fault})\n" if self._lost else ""
        data, self._text = (lost + self._text).encode("utf-8", "replace"), ""
        try:
            self._write(data)
            self._lost, self.fault = 0, ""
        except OSError as error:
            self._lost, self.fault = self._lost + lines, error.strerror or str(error)

    def close(self) -> None:
        """Close it."""
        with suppress(OSError):
            self._file.close()

    def _write(self, data: bytes) -> None:
        size, rest = self._file.tell(), memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError:
            with suppress(OSError):  # half a line would be in the way of the next one
                self._file.truncate(size)
                self._file.seek(size)
            raise
