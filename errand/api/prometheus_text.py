"""The service's figures in Prometheus' text formats."""

from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from errand.api.views import read_age
from errand.redis import keys
from errand.store.observe.counts import BUCKETS, Counts
from errand.store.observe.metrics import REASONS, Figures

STATES = ("idle", "busy", "suspended", "started")  # of a worker, RQ's words
OTHER = "other"
_BOUNDS = [*(str(float(bound)) for bound in keys.TALLY_BOUNDS), "+Inf"]


def render(figures: Figures, types: Iterable[str], accept: str) -> tuple[bytes, str]:
    """Return the text and its media type, in the format that an `Accept` header asks for.

    `types` are the job types that there are: each has its series from the start. A job of another type, which anybody
    may post with plain RQ, counts as `other`.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_FigureCollector(figures, sorted(types)))
    try:
        encode, media_type = choose_encoder(accept)
    except (ValueError, TypeError):  # the header names a version that is no number
        encode, media_type = choose_encoder("")
    return encode(registry), media_type


class _FigureCollector(Collector):
    """Hands the figures of one scrape to prometheus_client, which writes them."""

    def __init__(self, figures: Figures, types: list[str]) -> None:
        self._figures = figures
        self._types = types
        self._counts = {**{type: Counts() for type in types}, **figures.counts}

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the registry is to collect only when it is asked to."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield each metric."""
        yield from self._collect_ends()
        yield from self._collect_queues()
        yield from self._collect_types()
        yield from self._collect_workers()
        yield from self._collect_rest()

    def _collect_ends(self) -> Iterator[Metric]:
        jobs = CounterMetricFamily("errand_jobs_ended", "Jobs that ended.", labels=["type", "outcome"])
        attempts = CounterMetricFamily("errand_attempts", "Attempts that ended.", labels=["type", "outcome"])
        waits = HistogramMetricFamily("errand_job_wait_seconds", "From queued to started, by attempt.", labels=["type"])
        runs = HistogramMetricFamily("errand_job_run_seconds", "From started to ended, by attempt.", labels=["type"])
        for type, counts in self._counts.items():
            for family, found in ((jobs, counts.count_jobs()), (attempts, counts.count_attempts())):
                for outcome, count in found.items():
                    family.add_metric([type, outcome], count)
            waits.add_metric([type], _accumulate(counts.waits), counts.wait_seconds)
            runs.add_metric([type], _accumulate(counts.runs), counts.run_seconds)
        yield from (jobs, attempts, waits, runs)
        for name, word, text in (
            ("errand_losses", "lost", "Attempts whose worker's process died."),
            ("errand_interruptions", "interrupted", "Attempts that a stopping worker handed back."),
        ):
            total = sum(counts.count_attempts()[word] for counts in self._counts.values())
            yield CounterMetricFamily(name, text, value=total)

    def _collect_queues(self) -> Iterator[Metric]:
        figures = self._figures
        jobs = GaugeMetricFamily("errand_queue_jobs", "Jobs of a queue, by status.", labels=["queue", "status"])
        oldest = GaugeMetricFamily("errand_queue_oldest_seconds", "How long its oldest job waits.", labels=["queue"])
        retrying = GaugeMetricFamily("errand_jobs_retrying", "Failed jobs to be tried again.", labels=["queue"])
        paused = GaugeMetricFamily("errand_queue_paused", "1 where a queue is paused.", labels=["queue"])
        for queue in figures.queues:
            for status, count in queue.jobs.items():
                jobs.add_metric([queue.name, status], count)
            oldest.add_metric([queue.name], read_age(queue.oldest_at, figures.now) or 0)
            retrying.add_metric([queue.name], figures.retrying.get(queue.name, 0))
            paused.add_metric([queue.name], queue.paused)
        yield from (jobs, oldest, retrying, paused)

    def _collect_types(self) -> Iterator[Metric]:
        parked = GaugeMetricFamily("errand_jobs_parked", "Queued jobs that wait beside.", labels=["type", "reason"])
        held = GaugeMetricFamily("errand_type_held", "1 while what it works with is down.", labels=["type"])
        waiting = dict.fromkeys(((type, reason) for type in self._types for reason in REASONS), 0)
        for (type, reason), count in self._figures.parked.items():
            place = (self._name(type), reason)
            waiting[place] = waiting.get(place, 0) + count
        for labels, count in waiting.items():
            parked.add_metric(labels, count)
        down = dict.fromkeys(self._types, 0) | {self._name(type): 1 for type in self._figures.held}
        for type, is_held in down.items():
            held.add_metric([type], is_held)
        yield from (parked, held)

    def _collect_workers(self) -> Iterator[Metric]:
        workers = GaugeMetricFamily("errand_workers", "Live workers, by state.", labels=["state"])
        found = dict.fromkeys((*STATES, OTHER), 0)
        for state, count in self._figures.workers.items():
            found[state if state in STATES else OTHER] += count
        for state, count in found.items():
            workers.add_metric([state], count)
        yield workers
        free = "Jobs that live workers could take beside those that they run."
        yield GaugeMetricFamily("errand_worker_threads_free", free, value=self._figures.threads_free)

    def _collect_rest(self) -> Iterator[Metric]:
        late = "How late the latest schedule is; 0 where none is."
        yield GaugeMetricFamily("errand_schedule_lateness_seconds", late, value=self._figures.schedule_late_seconds)
        if self._figures.memory_ratio is not None:
            text = "What Redis uses of its maxmemory; nothing is stored from 0.8 on."
            yield GaugeMetricFamily("errand_redis_memory_ratio", text, value=self._figures.memory_ratio)

    def _name(self, type: str) -> str:
        return type if type in self._types else OTHER


def _accumulate(buckets: list[int]) -> list[tuple[str, float]]:
    return list(zip(_BOUNDS, accumulate(buckets or [0] * BUCKETS), strict=True))
