"""`--reload`: restarts web and workers when a file has changed and the application can still be imported."""

import time
from collections.abc import Sequence
from pathlib import Path

from errand.local.own_app.changes import Changes
from errand.local.own_app.probe import ProbeResult, log_fault, try_out
from errand.local.own_app.settings import OwnOptions
from errand.local.preflight import CannotStartError
from errand.local.up import Machine
from errand.redis.settings import format_fault

LOOK_SECONDS = 0.1  # a change is noticed at once for a person; `Changes` itself limits how often it looks
NAMED_FILES = 3  # in the line that names what has changed: with more it would not fit on the screen
GRACE_SECONDS = 5.0  # for running jobs; one that takes longer is handed back, and starts again with the new code


class Reloader:
    """Looks for changes and restarts `names`; they go on as they are while the application can't be imported."""

    def __init__(self, options: OwnOptions, machine: Machine) -> None:
        self._options, self._machine = options, machine
        self._changes = Changes(Path.cwd())
        self.names: Sequence[str] = ()

    def wait_until_importable(self) -> ProbeResult:
        """Return what is found in the application as soon as it can be imported.

        Raises CannotStartError for a wrong name.
        """
        while (found := try_out(self._options, self._machine.environment)).fault:
            if found.is_wrong_name:
                raise CannotStartError(found.fault)
            fault = log_fault(found, self._options, self._machine.output)
            self._machine.console.print(
                f"{format_fault(fault)}\nWaiting for the next change …", soft_wrap=True, markup=False
            )
            while not self._changes.find():
                time.sleep(LOOK_SECONDS)
        return found

    def restart_if_changed(self) -> None:
        """Restart `names` if a file has changed; print what is wrong where the application can't be imported."""
        changed = self._changes.find()
        if changed:
            self._restart(_name(changed))

    def _restart(self, what: str) -> None:
        say = self._machine.output.say
        found = try_out(self._options, self._machine.environment)
        if found.fault:
            for line in log_fault(found, self._options, self._machine.output).splitlines():
                say("reload", line)
            say("reload", "what was started before goes on; waiting for the next change")
        else:
            say("reload", f"{what} changed; starting again")
            self._machine.processes.restart(self.names, GRACE_SECONDS)


def _name(files: Sequence[str]) -> str:
    named = ", ".join(files[:NAMED_FILES])
    return f"{named} and {len(files) - NAMED_FILES} more" if len(files) > NAMED_FILES else named
