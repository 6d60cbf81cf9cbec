"""A change that somebody asks for on a page: a form that is posted, and the page that they see then."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from errand.api.console.page import Look
from errand.api.console.render import Renderer


@dataclass(frozen=True)
class Change:
    """What was asked for: the path and who asks, in `look`, and the form's fields."""

    look: Look
    form: Mapping[str, str]
    renderer: Renderer


@dataclass(frozen=True)
class Done:
    """What has been done, as the log tells it («queue email paused»), and which page to go to."""

    told: str
    goal: str


Act = Callable[[Change], Awaitable[Done]]
