"""The names for one's own FastAPI application: `tasks: Tasks` in an endpoint."""

from errand.api.tasks import DurableTasks, Tasks

__all__ = ["DurableTasks", "Tasks"]
