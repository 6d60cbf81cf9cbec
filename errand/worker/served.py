"""What a worker serves: queues, and the jobs of its package."""

from dataclasses import dataclass
from typing import Any

from errand.contract.code import hash_codes, hash_services
from errand.contract.hooks import find_hooks
from errand.contract.job import Job
from errand.webhook.webhooks import Webhooks
from errand.worker.allowed_functions import AllowedJob, list_functions
from errand.worker.execution import Execution


@dataclass(slots=True)
class ServedQueues:
    """Queues in the order given or, `in_turn`, each in turn: then `first` is the number of the next one, from 1.

    `rates` are the types that have one, each as three: its name, how many may start in a period, its microseconds.
    """

    names: list[str]
    in_turn: bool
    first: int = 1
    rates: tuple[str | int, ...] = ()

    def rotate(self, taken: list[Execution]) -> None:
        """Let the one after the last that gave a job come first, if they are served in turn; an empty one gave none."""
        if self.in_turn and taken and taken[-1].queue in self.names:
            self.first = (self.names.index(taken[-1].queue) + 1) % len(self.names) + 1


class ServedJobs:
    """The job types of a worker of `package`, as its processes need them.

    `job_class` is RQ's job limited to their functions; by type, `codes` are hashes of their code and `services` of what
    they work with; `ending` are values for the scripts that end jobs.
    """

    def __init__(self, types: dict[str, Job[..., Any]], package: str) -> None:
        self.types = types
        self.hooks = find_hooks(package)
        self.job_class = type("ErrandJob", (AllowedJob,), {"functions": list_functions(types, package)})
        self.codes, self.services = hash_codes(types), hash_services(types)
        self.ending = Webhooks(types).values

    def list_isolated(self) -> tuple[bytes, ...]:
        """Return how the payloads begin of jobs that run in processes of their own."""
        # RQ's serializer writes the function's path first.
        return tuple(f'["{job.path}"'.encode() for job in self.types.values() if job.options.isolate)

    def list_rates(self) -> tuple[str | int, ...]:
        """Return the types that have a rate, as `ServedQueues` has them."""
        rates = [(job.type, job.rate) for job in self.types.values() if job.rate]
        return tuple(part for type, rate in rates for part in (type, rate.most, rate.period_seconds * 1_000_000))
