"""The embedded server with a user beside the one that may do all: docs/operations.md tells what that one needs."""

import re
from contextlib import suppress

from redis import Redis, RedisError

from errand.local.valkey import EmbeddedValkey
from tests.project import ROOT

USER, PASSWORD = "errand", "limited"
ASKED_IN_VAIN = "config|get"  # how often the file is synced: where that is denied, it is unknown


def read_rules() -> str:
    """Return what the line in docs/operations.md lets a user of its own do."""
    text = (ROOT / "docs/operations.md").read_text()
    (rules,) = re.findall(r"^ +ACL SETUSER errand on >\S+ (.+)$", text, re.MULTILINE)
    return str(rules)


class LimitedValkey(EmbeddedValkey):
    """What is under test has `user_url`; a test itself may use `url`."""

    @property
    def user_url(self) -> str:
        """How the user reaches it who may do no more than Errand needs."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{USER}:{PASSWORD}@{rest.rpartition('@')[2]}"

    def assert_nothing_was_denied(self) -> None:
        """Fail where that user was denied a command, a key or a channel since the last call, or the server's start."""
        entries = []
        with suppress(RedisError), Redis.from_url(self.url, socket_timeout=5) as redis:  # it may be down
            entries = [entry for entry in redis.acl_log() if entry["username"] == USER]
            redis.acl_log_reset()
        denied = {(entry["reason"], entry["context"], entry["object"]) for entry in entries}
        denied.discard(("command", "toplevel", ASKED_IN_VAIN))
        assert not denied, f"the user of docs/operations.md may not: {denied}"

    def _configure(self) -> str:
        return f"{super()._configure()}user {USER} on >{PASSWORD} {read_rules()}\n"
