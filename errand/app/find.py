"""Finding an application's Errand, and its ASGI application, by the name that a person gives: «shop.main:errand»."""

import importlib
import inspect
import os
import sys
from dataclasses import dataclass
from operator import attrgetter
from types import ModuleType
from typing import Any

from errand.app.errand import Errand

BY_CONVENTION = ("app", "create_app")


class TargetError(Exception):
    """Raised when what was named is not there; the text says what is, or what to give."""


@dataclass(frozen=True)
class FoundApp:
    """An application that a server can run; `app` may be the factory of one, and `is_wsgi` is what Flask makes."""

    name: str
    app: Any
    is_factory: bool
    is_wsgi: bool

    def find_mount(self, errand: Errand) -> str | None:
        """Return the path at which it mounts the API of `errand`; None where it has none, or is a factory."""
        mounted = errand.mounted_app
        paths = [route.path for route in getattr(self.app, "routes", ()) if getattr(route, "app", None) is mounted]
        return paths[0] if mounted is not None and paths else None


def find_errand(target: str) -> Errand:
    """Return the Errand that «module:name» names. Raises TargetError, and whatever the module raises on import."""
    name, _, attribute = target.partition(":")
    found = getattr(_import(name), attribute or "errand", None)
    if not isinstance(found, Errand):
        raise TargetError(f"{name} has no Errand named {attribute or 'errand'!r}")
    return found


def find_app(target: str, named: str | None) -> FoundApp:
    """Return the application `named` «module:name», by default `app` or `create_app` of the Errand's module.

    Raises TargetError, and whatever the module raises on import.
    """
    name, _, attribute = (named or target.partition(":")[0]).partition(":")
    module = _import(name)
    for each in [attribute] if attribute else BY_CONVENTION:
        app = _get(module, each)
        if callable(app):
            counted = _count_required(app)
            return FoundApp(f"{name}:{each}", app, is_factory=counted == 0, is_wsgi=counted == 2)
    fix = f"name it: errand up {target} --app shop.web:app, or run without one: --no-web"
    raise TargetError(f"{_name_file(module)} has no {attribute or 'app'!r}; {fix}")


def _get(module: ModuleType, attribute: str) -> Any:
    try:
        return attrgetter(attribute)(module)
    except AttributeError:
        return None


def _count_required(app: Any) -> int | None:
    """Return how many arguments `app` needs: 0 a factory, 2 WSGI, 3 ASGI; None where its signature can't be read."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return None
    return sum(
        each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD, each.KEYWORD_ONLY)
        for each in parameters
    )


def _import(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:  # a console script looks elsewhere
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there, and misses another
        raise TargetError(f"there is no module {error.name!r} here; give one as you import it") from None


def _name_file(module: ModuleType) -> str:
    path = getattr(module, "__file__", None)
    return os.path.relpath(path) if path else module.__name__
