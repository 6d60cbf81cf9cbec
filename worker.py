"""What `rq worker -c worker -w worker.Worker` loads: where the jobs are, which queues, and the worker's class."""

import sys

from errand import list_queues
from errand.contract.catalog import read_catalog
from errand.redis.connection import wait_for_redis
from errand.redis.settings import SettingsError, read_settings, tell
from errand.store.settings import QueueSettings
from errand.worker.worker import ErrandWorker as Worker

__all__ = ["QUEUES", "REDIS_URL", "Worker"]

try:
    QUEUES = [queue.name for queue in list_queues(read_catalog())]
    REDIS_URL = read_settings(QueueSettings, "worker.py").redis_url
    wait_for_redis(REDIS_URL)  # rq would end at once
except SettingsError as error:
    # rq would print an ImportError as «Invalid attribute name» and nothing more.
    sys.exit(tell(error))
