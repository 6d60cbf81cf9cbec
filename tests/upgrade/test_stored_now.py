"""What is stored today has the keys, fields and formats of what commit e6e9af9's code stored, and what was added."""

from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.conftest import EmbeddedValkey, build_environment
from tests.support.services import Services
from tests.support.sinks import ScriptedSink
from tests.upgrade.fill import Fill
from tests.upgrade.shape import Shaper
from tests.upgrade.stored import export

ADDED = {
    "which versions of the code there are": ("errand:posted", "errand:types:worker"),
    "how attempts ended, with the tracebacks of those that failed": (
        *(f"errand:attempts:<{name}>" for name in ("failed", "stopped", "ended 2", "to be tried again", "running 2")),
        *("errand:trace:#", "errand:notes", "errand:notes-bytes"),
    ),
    "which jobs are to be tried again": ("errand:retrying", "errand:retrying:default"),
    "which batches there are": ("errand:batches",),
    "how far the look for jobs in no list has come": ("errand:lost-look",),
}
FIELDS = ("errand_frame", "errand:retrying:default")  # where an error came from; an index that the sweep knows
HOURS = ("errand_backoff", "retries_left")  # of e-mails, log lines and webhooks, which are tried for so long now
ENDLESS = ("rq:wip:", "rq:executions:")  # whose members had an end, which whoever had a wrong clock took for theirs


@pytest.mark.slow
def test_the_same_work_leaves_the_same_keys_and_fields(
    written: dict[str, Any], project: Path, valkey: EmbeddedValkey, redis: Redis, sink: ScriptedSink, tmp_path: Path
) -> None:
    services = Services(project, build_environment(valkey.url, sink, tmp_path), tmp_path)
    fill = Fill(services, redis, sink)
    try:
        fill.run()
    finally:
        services.stop()
    now = Shaper(fill.names | fill.batches).shape(export(redis))
    before = Shaper(written["jobs"] | written["batches"]).shape(written["keys"])
    assert set(before) - set(now) == set()
    assert sorted(set(now) - set(before)) == sorted(sum(ADDED.values(), ()))
    for key, (kind, lasts, held) in before.items():
        if isinstance(now[key][2], dict):
            now[key] = (*now[key][:2], drop(now[key][2], FIELDS))
        held = dict.fromkeys(held, "inf") if key.startswith(ENDLESS) else held
        if key.startswith("rq:job:") and "errand_backoff" in now[key][2]:
            now[key], held = (*now[key][:2], drop(now[key][2], HOURS)), drop(held, HOURS)
        now_held = without_recipients(now[key]) if key.startswith(("errand:mail:", "rq:results:")) else now[key]
        assert (key, now_held) == (key, (kind, lasts, held))


def without_recipients(value: Any) -> Any:
    """Return what is stored without what e-mails now say of each recipient, and of the server that may have them."""
    if isinstance(value, dict):
        said = {name: without_recipients(inner) for name, inner in value.items() if name != "recipients"}
        return said | ({"sending": " ".join(said["sending"].split()[:-1])} if "sending" in said else {})
    if isinstance(value, list | tuple):
        return type(value)(map(without_recipients, value))
    return value


def drop(held: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in held.items() if name not in names}
