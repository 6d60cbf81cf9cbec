"""What `rq worker -c MODULE -w MODULE.Worker` finds in a module, and `errand worker` uses as well."""

import sys
from collections.abc import Callable
from typing import NamedTuple

from errand.redis.connection import wait_for_redis
from errand.redis.settings import SettingsError, format_fault
from errand.worker.processes.pid_one import hear_stops
from errand.worker.worker import ErrandWorker


class WorkerConfig(NamedTuple):
    """The names that such a module has, in RQ's order of use."""

    queues: list[str]
    redis_url: str
    worker_class: type[ErrandWorker]


def wait_for_config(read: Callable[[], WorkerConfig]) -> WorkerConfig:
    """Return what `read` gives a worker, when its server is there; rq itself would end at once where it isn't.

    Ends the process with a plain text where something is wrong: rq would print an ImportError as «Invalid attribute
    name» and nothing more.
    """
    hear_stops()
    try:
        config = read()
        wait_for_redis(config.redis_url)
        return config
    except SettingsError as error:
        sys.exit(format_fault(error))
