"""A pipe by which other threads end a loop's wait."""

import os


class Wakeup:
    """Readable from `set` until `clear`, for a `poll`."""

    def __init__(self) -> None:
        self._out, self._in = os.pipe()
        self._is_set = False

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._out

    def set(self) -> None:
        """End the wait, from any thread; the next one too where nobody waits now."""
        if not self._is_set:
            self._is_set = True
            os.write(self._in, b"x")

    def clear(self) -> None:
        """Wait from now on; for the thread that waits, once the pipe is readable."""
        os.read(self._out, 64)  # two threads may have written at once
        self._is_set = False

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._out)
        os.close(self._in)
