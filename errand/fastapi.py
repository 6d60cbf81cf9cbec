"""The names for FastAPI: `tasks: Tasks` in an endpoint, `Service` for a service of its own."""

from typing import TYPE_CHECKING, Any

from errand.api.background_tasks import DurableTasks, Tasks

if TYPE_CHECKING:
    from errand.app.service import Service

__all__ = ["DurableTasks", "Service", "Tasks"]


def __getattr__(name: str) -> Any:
    """Load `Service` when it is first used: it brings the whole API, which `Tasks` alone does not need."""
    if name != "Service":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from errand.app.service import Service

    return Service
