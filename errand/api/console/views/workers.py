"""`/console/workers`: who works, and at what."""

from errand.api.console.page import Content, Look, View


async def read_workers(look: Look) -> Content:
    """Return what the page shows. Raises RedisError."""
    return Content("Workers", {"list": {"workers": await look.store.workers.read_all()}})


workers = View("workers", "/workers", read_workers, "workers")
