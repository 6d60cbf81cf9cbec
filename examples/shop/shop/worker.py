"""RQ's own command loads this module: rq worker -c shop.worker -w shop.worker.Worker."""

from shop.main import errand

QUEUES, REDIS_URL, Worker = errand.configure_worker()
