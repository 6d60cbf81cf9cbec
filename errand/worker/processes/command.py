"""RQ's commands to a worker, as `send_stop_job_command` and its like publish them (rq.command, RQ 3.0.0)."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """What a message asks for; one that can't be read asks for nothing."""

    name: str = ""
    job: str = ""
    execution: str | None = None

    def means(self, member: str) -> bool:
        """Return whether it is about this execution; without an execution all of the job's are meant."""
        id, _, execution = member.rpartition(":")
        return id == self.job and self.execution in (None, execution)


def read_command(message: bytes) -> Command:
    """Return the command in a message."""
    try:
        content = json.loads(message)
        return Command(str(content["command"]), str(content.get("job_id")), content.get("execution_id"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Command()
