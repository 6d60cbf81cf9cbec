"""Writes e6e9af9.json: what a server holds that the code of commit e6e9af9 has filled.

That is the last one before the code became a library. It runs there, with this folder copied into it and what it
imports from tests/support taken from where it was then:

    git worktree add /tmp/before e6e9af9 && cp -r tests/upgrade /tmp/before/tests/ && cd /tmp/before
    sed -i 's/support.processes/faults.processes/; s/support.receivers/receiver/; s/support.sinks/sink/;
        s/support.waiting/services/; s/support.services/services/; s/, Process,/,/; s/Process, //;
        s/-> Process/-> object/; s/: Process/: Any/' tests/upgrade/*.py
    make setup-dev && .venv/bin/python -m tests.upgrade.make_data tests/upgrade/e6e9af9.json
"""

import re
import socket
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redis import Redis

from tests.conftest import EmbeddedValkey, build_environment
from tests.support.services import Services
from tests.support.sinks import ScriptedSink
from tests.upgrade.fill import Fill, copy_project
from tests.upgrade.stored import export, list_fields, trim, write

HOST = re.compile(rf"\b{re.escape(socket.gethostname())}(?=\.\d+\.[0-9a-f]{{6}})")


def hide_machine(value: Any) -> Any:
    """Put another name for this machine's wherever it stands, as in the names of workers."""
    if isinstance(value, str):
        return "machine" if value == socket.gethostname() else HOST.sub("machine", value)
    if isinstance(value, list):
        return [hide_machine(one) for one in value]
    if isinstance(value, dict):
        return {hide_machine(name): hide_machine(one) for name, one in value.items()}
    return value


def main(path: Path) -> None:
    """Fill a server and write what it holds."""
    with tempfile.TemporaryDirectory(prefix="errand-") as name:
        folder = Path(name)
        server, sink = EmbeddedValkey(folder / "v"), ScriptedSink()
        server.start()
        sink.start()
        services = Services(copy_project(folder / "project"), build_environment(server.url, sink, folder), folder)
        with Redis.from_url(server.url) as redis:
            try:
                fill = Fill(services, redis, sink)
                fill.run()
                seconds, micros = redis.time()
                at = datetime.fromtimestamp(seconds + micros / 1e6, UTC).isoformat()
                answers = {path: trim(answer) for path, answer in fill.answers.items()}
                more: dict[str, Any] = {"jobs": fill.names, "batches": fill.batches, "keyed": fill.keyed}
                more |= {"fields": sorted(list_fields([*fill.answers.values()])), "answers": hide_machine(answers)}
                write(path, hide_machine(export(redis)), at, **more)
            finally:
                services.stop()
                sink.stop()
                server.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
