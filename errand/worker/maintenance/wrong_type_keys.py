"""Keys that have values of a wrong type: the log says what to do, and all that is not in them goes on."""

import logging
import time
from collections.abc import Callable, Sequence

from redis import Redis
from redis.exceptions import ResponseError

from errand.redis.lua.loader import read_script
from errand.redis.wrong_type import UNNAMED, WrongKey, is_wrong_type, read_wrong, read_wrong_keys

LOOK_SECONDS = 10.0  # a wrong key stays until a person has mended it: sooner helps nobody
AGAIN_SECONDS = 1.0  # where chores meet one that they can't name, twice a second each
LOG_SECONDS = 60.0  # each process says so of each key once in this time
logger = logging.getLogger("errand.worker")


class WrongKeys:
    """Those that a worker meets, or finds; `queues` are names of its queues."""

    def __init__(self, redis: Redis, queues: Sequence[str] = ()) -> None:
        self._script = redis.register_script(read_script("observe/keys"))
        self._queues = queues
        self._looked_at = self._met_at = float("-inf")
        self._found: Sequence[WrongKey] = ()
        self._logged_at: dict[str, float] = {}

    def attempt(self, chore: Callable[[], object]) -> object:
        """Do a chore and return its answer, None where a key of a wrong type ended it. Raises any other RedisError."""
        try:
            return chore()
        except ResponseError as error:
            if not is_wrong_type(error):
                raise
            self.note(error)
            return None

    def note(self, error: Exception) -> None:
        """Log the key that an error names, or else those that are found. Raises RedisError."""
        if (named := read_wrong(error)) is not None:
            self._log(named.key, named.describe())
            return
        if time.monotonic() - self._met_at >= AGAIN_SECONDS:
            self._met_at = time.monotonic()
            self._look()
        if not self._found:
            self._log("", f"{UNNAMED} ({error})")

    def run(self) -> None:
        """Look for them, every few seconds. Raises RedisError."""
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._look()

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        self._found = read_wrong_keys(self._script(args=self._queues))
        for one in self._found:
            self._log(one.key, one.describe())

    def _log(self, key: str, text: str) -> None:
        now = time.monotonic()
        if now - self._logged_at.get(key, float("-inf")) >= LOG_SECONDS:
            self._logged_at[key] = now
            logger.error("%s. Only what is in it stands still", text)
