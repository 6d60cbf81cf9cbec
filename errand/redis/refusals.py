"""What a Redis says when it does not do what it is asked: its error words, and what each of them means for us.

A word is the first of an error's text (RESP's «error prefix»); these are Valkey 9's answers. A command that is refused
inside a script says the same, with the script's line behind it; only a missing permission reads there as
«ERR ACL failure in script: …», and a key of another server of a cluster as «ERR … non local key …».
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """`name` becomes a problem's type. `advice` says what is the matter, and what to do.

    `passes`: it may end by itself, or with what is done at the server. `is_whole`: nothing was stored, because the
    server looks before it begins.
    """

    name: str
    advice: str
    passes: bool = True
    is_whole: bool = True

    def describe(self, error: Exception) -> str:
        """Return the advice, with the server's own words where they name something."""
        return self.advice.format(error=_cut(str(error)))


_REPLICA = Refusal(
    "redis-replica",
    "Redis answers as a replica, as after a failover. Try again; if it stays so, set REDIS_URL to the primary",
)
_CLUSTER = Refusal(
    "redis-cluster",
    "Redis is a cluster, or a part of one that is down ({error}); Errand needs one server. Set REDIS_URL to such a one",
    passes=False,
    is_whole=False,
)
_PERMISSION = Refusal(
    "redis-permission",
    "Redis lacks a permission for the user in REDIS_URL: {error}. "
    "It needs +@all -@admin +role, the keys rq:* and errand:*, and the channels rq:* and errand:* (ACL SETUSER)",
    passes=False,
    is_whole=False,
)
_PASSWORD = Refusal(
    "redis-password", "Redis refuses the password in REDIS_URL ({error}); set the right one", passes=False
)
REFUSALS = {
    "OOM": Refusal(
        "redis-full", "Redis is full and takes nothing new. Try again when jobs have ended, or give it room"
    ),
    "READONLY": _REPLICA,
    "MASTERDOWN": _REPLICA,
    "LOADING": Refusal("redis-loading", "Redis has started and loads its data. Try again"),
    "MISCONF": Refusal(
        "redis-not-saving",
        "Redis can't save its data and takes nothing new: its disk is full or not writable. "
        "Make room there; its own log and `INFO persistence` say what fails",
    ),
    "NOREPLICAS": Refusal(
        "redis-no-replicas",
        "Redis has fewer replicas in step than its min-replicas-to-write asks for, and takes nothing new. "
        "Look after its replicas",
    ),
    "BUSY": Refusal(
        "redis-busy",
        "Redis is busy with a script of somebody's and answers nobody. Try again; SCRIPT KILL ends it",
    ),
    "TRYAGAIN": _CLUSTER,
    "CLUSTERDOWN": _CLUSTER,
    "CROSSSLOT": _CLUSTER,
    "MOVED": _CLUSTER,
    "ASK": _CLUSTER,
    "NOPERM": _PERMISSION,
    "NOAUTH": _PASSWORD,
    "WRONGPASS": _PASSWORD,
}
_PREFIX = re.compile(r"(?:Command # \d+ .* of pipeline caused error: )?([A-Z]+) ", re.S)
_IN_SCRIPT = {"ACL failure in script": "NOPERM", "non local key in a cluster node": "MOVED"}
_PLACE = re.compile(r",? script: .*$", re.S)


def find_refusal(error: BaseException) -> Refusal | None:
    """Return what an error of redis-py means, None where its word says nothing to us.

    redis-py takes the words that it knows out of the text, into `status_code`; the others it leaves there. What it
    hears while it connects is the cause of another error.
    """
    return _find(error) or (_find(error.__cause__) if error.__cause__ else None)


def _find(error: BaseException) -> Refusal | None:
    said = str(error)
    for part, word in _IN_SCRIPT.items():
        if part in said:
            return REFUSALS[word]
    found = _PREFIX.match(said)
    return REFUSALS.get(getattr(error, "status_code", None) or (found[1] if found else ""))


def _cut(said: str) -> str:
    """Return a server's text without the place in a script, which says nothing to a reader."""
    return _PLACE.sub("", said.removeprefix("ACL failure in script: ")).rstrip(". ")[:200]
