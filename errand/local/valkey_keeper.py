"""Keeping the bundled Valkey going: it ends when it can't write, since it acknowledges only what is on disk."""

import time
from collections.abc import Callable

from errand.local.disk import ROOM_MB, describe_full_disk, measure_free_mb
from errand.local.valkey import EmbeddedValkey, ServerMissingError

RETRY_SECONDS = 5.0  # between two starts of a server that ends at once: the log stays readable


class ValkeyKeeper:
    """Starts it again when it has ended: at once, or when there is room on its disk. `say` takes a name and a line."""

    def __init__(self, valkey: EmbeddedValkey | None, say: Callable[[str, str], None]) -> None:
        self._valkey, self._say = valkey, say
        self._waits_for_room = False
        self._next_start = 0.0

    def start_if_ended(self) -> None:
        """Start it again if it has ended and there is room; return at once while it runs."""
        valkey = self._valkey
        if valkey is None or valkey.is_running() or time.monotonic() < self._next_start:
            return
        free_mb = measure_free_mb(valkey.folder)
        if free_mb < ROOM_MB:
            if not self._waits_for_room:
                self._say("valkey", self._describe_full_disk(valkey, free_mb))
            self._waits_for_room = True
            return
        after_full = "there is room again; starting valkey"
        after_end = f"valkey {valkey.how_it_ended}; starting it again"
        self._say("valkey", after_full if self._waits_for_room else after_end)
        self._waits_for_room = False
        self._next_start = time.monotonic() + RETRY_SECONDS  # counted from here: it may end at once
        try:
            valkey.start()
        except ServerMissingError as error:
            self._say("valkey", f"{error}; trying again in {RETRY_SECONDS:.0f} s")

    def _describe_full_disk(self, valkey: EmbeddedValkey, free_mb: float) -> str:
        return (
            f"valkey {valkey.how_it_ended}: {describe_full_disk(valkey.folder, free_mb)}. Make room, and it starts; "
            "what was acknowledged is kept, and the API answers 503 meanwhile"
        )
