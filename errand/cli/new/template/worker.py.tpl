"""What `rq worker -c worker -w worker.Worker` loads: which queues, where they are, and the worker's class."""

from errand import Errand

QUEUES, REDIS_URL, Worker = Errand("jobs").configure_worker()
