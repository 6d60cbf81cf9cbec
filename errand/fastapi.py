"""The names for FastAPI: `tasks: Tasks` in an endpoint, `Service` for a service of its own."""

from errand.api.tasks import DurableTasks, Tasks
from errand.app.service import Service

__all__ = ["DurableTasks", "Service", "Tasks"]
