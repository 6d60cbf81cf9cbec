"""Following a job or a batch until it has ended: by its events, or by polling where there are none."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from errand.cli.client.events import ServerSentEvent, read_events
from errand.cli.client.http import ServiceClient, batch_path, job_path
from errand.cli.client.problem import AwayError, RequestRefusedError
from errand.redis import keys

ENDED = keys.BATCH_ENDED
POLL_SECONDS = 1.0  # a person notices nothing faster, where there are no events
PAUSE_SECONDS = 1.0  # before a lost stream is opened again
PATIENCE_SECONDS = 60.0  # for a service that is away meanwhile, as in a deploy

View = dict[str, Any]


@dataclass(frozen=True)
class Logged:
    """A line that the job has logged or printed."""

    line: View


def is_batch(view: View) -> bool:
    """Return whether a view is a batch's."""
    return "total" in view


def has_ended(view: View) -> bool:
    """Return whether nothing more will happen to a job or a batch by itself."""
    return view.get("status") in ENDED or (is_batch(view) and bool(view["percent"] == 100))


def has_expired(view: View) -> bool:
    """Return whether a job was canceled because it had not started in time."""
    return view.get("status") == "canceled" and (view.get("error") or {}).get("type") == "Expired"


def ended_well(view: View) -> bool:
    """Return whether a job finished, or all of a batch did."""
    return bool(view["finished"] == view["total"]) if is_batch(view) else view["status"] == "finished"


def read(service: ServiceClient, id: str) -> tuple[str, View]:
    """Return the path and the view of a job, or of a batch where no job has the id. Raises ClientError."""
    try:
        return job_path(id), service.get(job_path(id))
    except RequestRefusedError as error:
        if error.name != "no-such-job":
            raise
    try:
        return batch_path(id), service.get(batch_path(id))
    except RequestRefusedError as error:
        if error.name == "no-such-batch":
            raise RequestRefusedError(
                404, {"detail": f"There is no job and no batch {id!r}; it may have expired"}, True
            ) from None
        raise


def follow(service: ServiceClient, path: str, view: View) -> Iterator[View | Logged]:
    """Yield the job or the batch at `path` each time that it has changed, from `view` on, and last as it ended.

    Between them come the lines that a job logs, where the service has events. Raises ClientError; a service that is
    away is waited for, PATIENCE_SECONDS at most.
    """
    yield view
    last_id, streams, gone_at = "", True, 0.0
    while not has_ended(view):
        try:
            for event in _listen(service, path, last_id) if streams else ():
                last_id = event.id
                if event.name == "log":
                    yield Logged(event.data)
                else:
                    view = merge(view, event)
                    yield view
        except RequestRefusedError:
            streams = False  # this service, or a proxy before it, has no events
        except (AwayError, OSError, HTTPException):
            pass  # the request below shows whether only the stream is lost
        if has_ended(view):
            return
        try:
            view, gone_at = service.get(path), 0.0
            yield view
        except AwayError:
            gone_at = gone_at or time.monotonic()
            if time.monotonic() - gone_at > PATIENCE_SECONDS:
                raise
        if not has_ended(view):
            time.sleep(PAUSE_SECONDS if streams else POLL_SECONDS)


def _listen(service: ServiceClient, path: str, last_id: str) -> Iterator[ServerSentEvent]:
    with service.stream(f"{path}/events", last_id) as stream:
        if "text/event-stream" in stream.headers.get("Content-Type", ""):
            yield from read_events(stream)


def merge(view: View, event: ServerSentEvent) -> View:
    """Return the view with an event's data: a whole view, some of its fields, or only the progress."""
    if not isinstance(event.data, dict):
        return view
    if event.name == "progress" and "progress" not in event.data and not is_batch(view):
        return {**view, "progress": {**view["progress"], **event.data}}
    return {**view, **event.data}
