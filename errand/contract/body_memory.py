"""How many bytes of bodies the jobs of a process may have in memory at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

ROOM_BYTES = 16 * 1024 * 1024  # a mail takes several times the bytes of its body while it is put together and sent
LOOK_SECONDS = 0.1  # a time-out or a stop reaches a thread only between two steps of Python


class Room:
    """Lets threads in while there is room; one that asks for more than all of it comes in alone."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._changed = threading.Condition()
        self._inside: dict[threading.Thread, int] = {}

    @contextmanager
    def take(self, size_bytes: int) -> Iterator[None]:
        """Hold so many bytes inside the block, as soon as there is room for them."""
        here = threading.current_thread()
        try:
            with self._changed:
                while not self._has_room(size_bytes):
                    self._changed.wait(LOOK_SECONDS)
                self._inside[here] = size_bytes
            yield
        finally:
            self._inside.pop(here, None)
            with self._changed:
                self._changed.notify_all()

    def _has_room(self, size_bytes: int) -> bool:
        # A thread that was interrupted at the wrong moment may have ended without giving its room back.
        held = sum(size for thread, size in list(self._inside.items()) if thread.is_alive())
        return held == 0 or held + size_bytes <= self._size_bytes


room = Room(ROOM_BYTES)
