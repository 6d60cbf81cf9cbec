"""`/console/help`: keys, and what the words mean; scripts show the same as a dialog on every page."""

from errand.api.console.page import Content, Look, View


async def read_help(look: Look) -> Content:
    """Return what the page shows, which is in its template."""
    return Content("Help", {})


help_page = View("help", "/help", read_help, "help")
