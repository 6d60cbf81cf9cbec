"""`/console/help`: the keys, and what statuses mean; with scripts every page shows it as a dialog."""

from errand.api.console.page import Content, Look, View


async def read_help(look: Look) -> Content:
    """Return what the page shows, which is in its template."""
    return Content("Help", {})


help_page = View("help", "/help", read_help, "help")
