"""What is tested: the Errand of an application, and what its workers know of its jobs."""

from importlib import import_module
from typing import Any

import pytest
from rq.defaults import DEFAULT_FAILURE_TTL, DEFAULT_RESULT_TTL

from errand.app import errand as module
from errand.app.errand import Errand
from errand.app.find import TargetError, find_errand
from errand.contract.code import hash_codes, hash_services
from errand.contract.from_python.home import list_homes, settle
from errand.contract.hooks import Hooks, find_hooks
from errand.contract.load import PACKAGE
from errand.redis.connection import WORKER
from errand.store.settings import LifetimeSettings
from errand.testing.chores import DrainChores
from errand.testing.server import RedisServer
from errand.webhook.webhooks import Webhooks
from errand.worker.allowed_functions import AllowedJob, list_functions
from errand.worker.records import Lifetimes, Records

NAME = "errand_jobs"
DAY_SECONDS = 24 * 3600  # of a lease: somebody may be at a debugger
LIFETIMES = Lifetimes(DAY_SECONDS, DEFAULT_RESULT_TTL, DEFAULT_FAILURE_TTL, DAY_SECONDS)


class Target:
    """An application's jobs, and what a worker works out about them once, in a tenth of a second."""

    def __init__(self, errand: Errand) -> None:
        self.errand = errand
        self.types = errand.types
        self.codes = hash_codes(self.types)
        functions = list_functions(self.types, errand.package)
        self.job_class: type[AllowedJob] = type("ErrandJob", (AllowedJob,), {"functions": functions})
        self._records: dict[str, Records] = {}
        self._chores: dict[tuple[Records, LifetimeSettings], DrainChores] = {}

    @property
    def hooks(self) -> Hooks:
        """What a worker calls before its first job and after its last one."""
        return find_hooks(self.errand.package)

    def provide_records(self, server: RedisServer) -> Records:
        """Return what a worker records with, for the environment as it is now: making it takes longer than a test."""
        services = {name: service() for name, job in self.types.items() if (service := job.options.service)}
        ending = Webhooks(self.types).values
        key = repr((services, ending))
        if key not in self._records:
            redis, hashes = server.connector.connect(WORKER), hash_services(self.types)
            self._records[key] = Records(redis, NAME, LIFETIMES, ending, self.codes, services=hashes)
        return self._records[key]

    def provide_chores(self, records: Records, settings: LifetimeSettings) -> DrainChores:
        """Return what a worker does beside running jobs; made once for each settings."""
        if (records, settings) not in self._chores:
            self._chores[records, settings] = DrainChores(records, self.types, settings)
        return self._chores[records, settings]


def find_target(name: str) -> Target:
    """Return what `shop.main:errand` names; where that is empty the Errand of the tests' process, or of package `jobs`.

    Raises TargetError.
    """
    return Target(_import_errand(name) if name else _choose_errand())


def _import_errand(name: str) -> Errand:
    try:
        return find_errand(name)
    except TargetError as error:
        raise TargetError(f"pytest's ini option errand = {name}: {error}") from None


def _choose_errand() -> Errand:
    """Return the one that the tests have imported, of several that of `jobs`; a new one where there is none."""
    found: dict[str, Errand] = {}
    for errand in list_homes():
        found.setdefault(errand.package, errand)
    if PACKAGE in found or len(found) == 1:
        return found.get(PACKAGE) or next(iter(found.values()))
    if found:
        names = ", ".join(f"Errand({package!r})" for package in found)
        raise TargetError(f"the tests have {names}; say which in pytest's ini option: errand = shop.main:errand")
    try:
        import_module(PACKAGE)
    except ModuleNotFoundError:
        raise TargetError(
            "the tests have imported no Errand, and there is no package jobs here; "
            "name it in pytest's ini option: errand = shop.main:errand"
        ) from None
    return Errand(PACKAGE)


def connect_all(server: RedisServer, patch: pytest.MonkeyPatch) -> None:
    """Let each Errand of the process keep its jobs on that server, those made from now on as well."""

    def connect(errand: Any) -> None:
        patch.setattr(errand, "_connector", server.connector)
        patch.setattr(errand, "_sync", None)  # of a connection that it has made

    def settle_here(errand: Any) -> None:
        settle(errand)
        connect(errand)

    for errand in list_homes():
        connect(errand)
    patch.setattr(module, "settle", settle_here)
