"""Keeping the bundled Valkey going: it ends where it can't write, since it acknowledges nothing that is not on disk."""

import time
from collections.abc import Callable

from errand.local.room import ROOM_MB, describe_full_disk, measure_free_mb
from errand.local.valkey import EmbeddedValkey, ServerMissingError

RETRY_SECONDS = 5.0


class ValkeyKeeper:
    """Starts it again where it has ended: at once, or when there is room on its disk. `say` takes a name and a line."""

    def __init__(self, valkey: EmbeddedValkey | None, say: Callable[[str, str], None]) -> None:
        self._valkey, self._say = valkey, say
        self._waits_for_room = False
        self._next_start = 0.0

    def look(self) -> None:
        """Do what is due; takes no time while it runs."""
        valkey = self._valkey
        if valkey is None or valkey.is_running() or time.monotonic() < self._next_start:
            return
        free_mb = measure_free_mb(valkey.folder)
        if free_mb < ROOM_MB:
            if not self._waits_for_room:
                self._say("valkey", self._describe_full_disk(valkey, free_mb))
            self._waits_for_room = True
            return
        begun = "there is room again; starting valkey"
        self._say("valkey", begun if self._waits_for_room else f"valkey {valkey.how_it_ended}; starting it again")
        self._waits_for_room = False
        self._next_start = time.monotonic() + RETRY_SECONDS  # one that ends at once
        try:
            valkey.start()
        except ServerMissingError as error:
            self._say("valkey", f"{error}; trying again in {RETRY_SECONDS:.0f} s")

    def _describe_full_disk(self, valkey: EmbeddedValkey, free_mb: float) -> str:
        return (
            f"valkey {valkey.how_it_ended}: {describe_full_disk(valkey.folder, free_mb)}. Make room, and it goes on; "
            "what was acknowledged is kept, and the API answers 503 meanwhile"
        )
