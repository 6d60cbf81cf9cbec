"""A change that somebody asks for on a page: the form they post, and the page they see next."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from errand.api.console.form import BYTES_LIMIT, Form
from errand.api.console.page import Content, Look, View
from errand.api.console.render import Renderer
from errand.redis import keys


@dataclass(frozen=True)
class Change:
    """What was asked for: the path and who asks, in `look`, and the form."""

    look: Look
    form: Form
    renderer: Renderer


@dataclass(frozen=True)
class Done:
    """What was done: the text for the log («queue email paused»), the page to go to, and what that page says.

    `notice` is a key of NOTICES, `count` the number in its text.
    """

    logged: str
    goal: str
    notice: str = ""
    count: int | None = None


Act = Callable[[Change], Awaitable[Done | Content]]


@dataclass(frozen=True)
class Action:
    """A change's route. Where `act` returns Content, nothing was done: `view` shows that, with what is wrong."""

    name: str
    path: str
    act: Act
    view: View | None = None
    bytes_limit: int = BYTES_LIMIT
    seconds: float | None = keys.API_SECONDS  # for all of it; None where what it calls has limits of its own
