"""`/console/queues`: how full they are, and why nothing is taken where that is so."""

from errand.api.console.page import Content, Look, View


async def read_queues(look: Look) -> Content:
    """Return what the page shows. Raises RedisError."""
    return Content("Queues", {"list": {"queues": await look.store.queues.read_all()}})


queues = View("queues", "/queues", read_queues, "queues")
