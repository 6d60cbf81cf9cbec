"""`Errand`: the jobs of one package, for the application that stores them and for the workers that run them."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from errand.contract.catalog import load_catalog
from errand.contract.from_python.home import settle
from errand.contract.from_python.options import Asked
from errand.contract.job import Job
from errand.contract.load import PACKAGE, list_queues
from errand.redis.clock import Clock
from errand.redis.connection import API, BODIES, Connector, UrlConnector
from errand.redis.settings import read_settings
from errand.redis.url import check_redis_url
from errand.store.settings import LifetimeSettings, QueueSettings

if TYPE_CHECKING:
    from errand.api.store import Store
    from errand.app.mount import MountedApp
    from errand.app.rq import WorkerConfig
    from errand.store.from_python.sync import SyncEnqueuer
    from errand.worker.worker import ErrandWorker

NOT_STARTED = (
    "Errand is not started: write FastAPI(lifespan=errand.lifespan), or `async with errand.lifespan(app): yield` in a "
    "lifespan of your own; Starlette starts no mounted application by itself"
)


class NotStartedError(RuntimeError):
    """Raised when an endpoint stores jobs and `errand.lifespan` was not entered; the text says how."""

    def __init__(self) -> None:
        super().__init__(NOT_STARTED)


class Errand:
    """The jobs of a package: its files are job files, and `builtin` names those of Errand's own that need no file.

    Nothing is imported, read or sent before it is needed. `redis_url` replaces the setting `REDIS_URL`, for a process
    that has two of them on two servers; `connector` makes the clients, by default of that server. Raises ValueError for
    a `redis_url` that can't be read.
    """

    def __init__(
        self,
        package: str = PACKAGE,
        *,
        builtin: Sequence[str] = (),
        redis_url: str | None = None,
        connector: Connector | None = None,
    ) -> None:
        self.package = package
        self.builtin = tuple(builtin)
        self.own_redis_url = _check_url(redis_url, package) if redis_url else None
        self._connector = connector
        self._live_store: Store | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sync: SyncEnqueuer | None = None
        self._lock = threading.Lock()
        settle(self)

    @cached_property
    def types(self) -> dict[str, Job[..., Any]]:
        """Its jobs by type, in order. Raises SettingsError where a file is wrong."""
        return load_catalog(self.package, self.builtin)

    @property
    def queue_names(self) -> list[str]:
        """The queues that its jobs name, the default one among them."""
        return [queue.name for queue in list_queues(self.types)]

    @property
    def redis_url(self) -> str:
        """The URL of the server that keeps its jobs. Raises SettingsError where none is set."""
        return self.own_redis_url or read_settings(QueueSettings, f"Errand({self.package!r})").redis_url

    @property
    def connector(self) -> Connector:
        """What makes its clients of Redis; set another one before anything is stored, in a test for example."""
        if self._connector is None:
            self._connector = UrlConnector(self.redis_url)
        return self._connector

    @connector.setter
    def connector(self, connector: Connector | None) -> None:
        self._connector, self._sync = connector, None

    @cached_property
    def app(self) -> "MountedApp":
        """The API with its docs and the dashboard, to be mounted under a path; `lifespan` starts it."""
        try:
            from errand.app.mount import MountedApp  # FastAPI, which a worker does not need
        except ModuleNotFoundError as error:
            error.add_note("The API needs more than the jobs do: pip install 'rq-errand[api]'")
            raise
        return MountedApp(self.lifespan)

    @property
    def mounted_app(self) -> "MountedApp | None":
        """`app`, None in a program that has not asked for it."""
        return self.__dict__.get("app")

    @property
    def worker_class(self) -> "type[ErrandWorker]":
        """The class of its workers, for `rq worker -w`."""
        from errand.worker.worker import ErrandWorker

        return type("Worker", (ErrandWorker,), {"package": self.package, "builtin": self.builtin})

    def configure_worker(self) -> "WorkerConfig":
        """Return queues, URL and class for the module that `rq worker -c` reads, as soon as the server is there.

        Ends the process with a plain text where a job file or a setting is wrong.
        """
        from errand.app.rq import WorkerConfig, wait_for_config

        return wait_for_config(lambda: WorkerConfig(self.queue_names, self.redis_url, self.worker_class))

    @property
    def live_store(self) -> "Store":
        """The store that `lifespan` has opened in the running loop. Raises NotStartedError where it has opened none."""
        if (store := self._find_live_store()) is None:
            raise NotStartedError
        return store

    @asynccontextmanager
    async def lifespan(self, app: Any = None) -> AsyncIterator[None]:
        """Keep open inside the block what the endpoints of `app` and of what is mounted there use.

        For `FastAPI(lifespan=errand.lifespan)`, and to be entered in a lifespan of your own. Raises SettingsError, and
        EvictingServerError for a server that may throw jobs away; one that can't be reached yet is no error.
        """
        from errand.app.lifespan import run

        async with run(self.connector, self.types, self.mounted_app) as store:
            self._live_store, self._loop = store, asyncio.get_running_loop()
            if app is not None:
                app.state.errand, app.state.errand_store = self, store
            try:
                yield
            finally:
                self._live_store = self._loop = None

    async def store(self, job: Job[..., Any], payload: dict[str, Any], asked: Asked) -> str:
        """Store a job for `job.store(…)`; return its id. Outside of `lifespan` a thread does it."""
        if (store := self._find_live_store()) is None:
            return await asyncio.to_thread(self.store_sync, job, payload, asked)
        from errand.app.lifespan import store_from_code

        return await store_from_code(store, job, payload, asked)

    def store_sync(self, job: Job[..., Any], payload: dict[str, Any], asked: Asked) -> str:
        """Store a job for `job.store_sync(…)`; return its id."""
        from errand.store.from_python.planned import plan

        return self._open_sync().store(plan(job, payload, asked))

    def _find_live_store(self) -> "Store | None":
        if self._live_store is None or self._loop is not asyncio.get_running_loop():
            return None
        return self._live_store

    def _open_sync(self) -> "SyncEnqueuer":
        from errand.store.from_python.sync import SyncEnqueuer

        with self._lock:
            if self._sync is None:
                redis, bodies = self.connector.connect(API), self.connector.connect(BODIES)
                self._sync = SyncEnqueuer(redis, bodies, LifetimeSettings(), self.types, Clock())
            return self._sync


def _check_url(redis_url: str, package: str) -> str:
    try:
        return check_redis_url(redis_url)
    except ValueError as error:  # whose text repeats nothing of the URL, which may hold a password
        raise ValueError(f"Errand({package!r}): redis_url: {error}") from None
