"""Which Errand stores a job of `run.store(…)`: the one whose package the job's file is in."""

from collections.abc import Iterable
from typing import Any, Protocol
from weakref import ReferenceType, ref

from errand.contract.from_python.options import Asked


class Settled(Protocol):
    """A job type, as far as it takes to find its Errand."""

    type: str
    module: str
    path: str


class Home(Protocol):
    """What stores jobs from Python: an `Errand`."""

    package: str
    builtin: tuple[str, ...]

    @property
    def live_store(self) -> Any:
        """What stores and reads over Redis in the running loop (errand/api/store.py). Raises where none is open."""

    async def store(self, job: Any, payload: dict[str, Any], asked: Asked) -> str:
        """Store a job; return its id."""

    def store_sync(self, job: Any, payload: dict[str, Any], asked: Asked) -> str:
        """Do as `store`, and wait for it."""


class HomelessJobError(RuntimeError):
    """Raised when a job can't be stored because no Errand of this process has it; the text says what to do."""


BUILTIN = "errand.builtin"
_homes: list[ReferenceType[Any]] = []


def settle(home: Home) -> None:
    """Let a home be found; of two with the same package, the one that came last is found."""
    _homes[:] = [ref(home), *(one for one in _homes if one() is not None)]


def list_homes() -> list[Any]:
    """Return the homes that are in use, the last one first."""
    return [home for one in _homes if (home := one()) is not None]


def find_home(job: Settled) -> Home:
    """Return the home of a job. Raises HomelessJobError."""
    package = job.module.rpartition(".")[0]
    alive = list_homes()
    if package != BUILTIN:
        for home in alive:
            if home.package == package:
                return home  # type: ignore[no-any-return]
        raise HomelessJobError(
            f"{job.path.removesuffix('.perform')}: this process has no Errand({package!r}); import the module that has"
        )
    having = _first_of_each_package(home for home in alive if job.type in home.builtin)
    if len(having) == 1:
        return having[0]
    if not having:
        raise HomelessJobError(f'{job.path}: no Errand of this process has builtin=["{job.type}"]')
    names = " and ".join(f"Errand({home.package!r})" for home in having)
    raise HomelessJobError(
        f"{job.path}: {names} have it; write a file {job.type}.py among the jobs of each with "
        f"run = {job.type}.run.adopt(__name__), and store that one"
    )


def _first_of_each_package(homes: Iterable[Home]) -> list[Home]:
    found: dict[str, Home] = {}
    for home in homes:
        found.setdefault(home.package, home)
    return list(found.values())
