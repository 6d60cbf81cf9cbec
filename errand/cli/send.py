"""`errand send`: a job or a batch to the service."""

import re
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

from errand.cli.client.http import Query, ServiceAnswer, ServiceClient, batch_path, job_path
from errand.cli.client.problem import AwayError, RequestRefusedError, WrongUsageError
from errand.cli.command import ask_service, print_json
from errand.cli.moment import read_span, read_time
from errand.cli.options import JsonOut, take_groups
from errand.cli.payload import PayloadOptions, read_payload
from errand.cli.watch import end_with, watch_all
from errand.redis.keys import BATCH_LIMIT

# By the answer's header Errand-Unique: what became of a job under a unique key that was there before.
UNIQUE_NOTES = {"existing": ", and was before: the same unique key", "replaced": ", with this payload now"}


@dataclass(frozen=True)
class JobOptions:
    """What a job can be given besides its payload; in a batch each job gets it."""

    after: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Run it after this job has finished; may repeat.")
    ] = None
    on_failure: Annotated[
        Literal["cancel", "run", "wait"] | None, typer.Option(help="What happens to it when a job of --after fails.")
    ] = None
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Run it then: 2026-12-24T18:00, or with an offset.")
    ] = None
    delay: Annotated[str | None, typer.Option(metavar="SPAN", help="Run it later: 90, 90s, 5m, 2h, 1d.")] = None
    expires: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Cancel it if it has not started after this long.")
    ] = None
    tag: Annotated[list[str] | None, typer.Option(metavar="WORD", help="A word to find it by; may repeat.")] = None
    front: Annotated[bool, typer.Option("--front", help="Put it before all others that wait in its queue.")] = False
    concurrency_key: Annotated[
        str | None, typer.Option(metavar="WORD", help="Jobs under one key share --concurrency.")
    ] = None
    concurrency: Annotated[
        int | None, typer.Option(metavar="N", help="How many jobs under the key may run at once.")
    ] = None
    timeout_seconds: Annotated[
        int | None, typer.Option(metavar="N", help="How long an attempt may take, instead of what the type says.")
    ] = None
    tries: Annotated[
        int | None, typer.Option(metavar="N", help="How many attempts, the first included; 1: no retry.")
    ] = None
    unique_key: Annotated[
        str | None,
        typer.Option(metavar="WORD", help="While a job of this type waits or runs under it, no other is stored."),
    ] = None
    replace: Annotated[
        bool, typer.Option("--replace", help="With --unique-key: replace one that still waits for its time.")
    ] = False
    webhook: Annotated[str | None, typer.Option(metavar="URL", help="An https URL to notify when it has ended.")] = None

    def build_query(self) -> Query:
        """Return the query of the POST; what is None in it was not asked for. Raises WrongUsageError."""
        if self.at is not None and self.delay is not None:
            raise WrongUsageError("give --at or --delay, not both")
        return [
            *(("after", id) for id in self.after or []),
            ("on_failure", self.on_failure),
            ("run_at", None if self.at is None else read_time(self.at, "--at")),
            ("delay_seconds", None if self.delay is None else read_span(self.delay, "--delay")),
            ("expires_in_seconds", None if self.expires is None else read_span(self.expires, "--expires")),
            ("at_front", "true" if self.front else None),
            *(("tag", word) for word in self.tag or []),
            ("concurrency_key", self.concurrency_key),
            ("concurrency", self.concurrency),
            ("timeout_seconds", self.timeout_seconds),
            ("tries", self.tries),
            ("unique_key", self.unique_key),
            ("unique", "replace" if self.replace else None),
            ("webhook", self.webhook),
        ]


@dataclass(frozen=True)
class SendOptions:
    """How a job or a batch is sent, and what is printed about it."""

    key: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its Idempotency-Key: sent twice, it is stored once.")
    ] = None
    batch: Annotated[
        bool, typer.Option("--batch", help="Many payloads, one batch: a JSON list, or one payload per line.")
    ] = False
    wait: Annotated[
        bool, typer.Option("--wait", help="Watch it until it has ended; exit 1 where it did not finish well.")
    ] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the id.")] = False
    as_json: JsonOut = False


@take_groups
def send(
    type: Annotated[str, typer.Argument(help="The job type: a file in jobs/.")],
    payload: PayloadOptions,
    job: JobOptions,
    sending: SendOptions,
) -> None:
    """Send a job, or with --batch many; --wait watches it.

    errand send log '{"text": "Hello"}' · errand send log -f text=Hello · errand send log --batch @lines.jsonl
    """
    batch, as_json = sending.batch, sending.as_json
    with ask_service() as service:
        query = job.build_query()
        if sending.quiet and (sending.wait or as_json):
            raise WrongUsageError("--quiet goes with neither --wait nor --json")
        path = (batch_path if batch else job_path)(type)
        body = read_payload(payload.argument, payload.fields or [], batch)
        sent = []
        for answer, progress in _post_all(service, path, query, body, sending.key, batch):
            sent.append(answer.body["id"])
            if as_json and not sending.wait:
                print_json(answer.body)
            elif not sending.wait:
                print(answer.body["id"] if sending.quiet else _describe(answer, batch) + progress, flush=True)
        if sending.wait:
            _wait(service, sent, batch, as_json)


def _post(service: ServiceClient, path: str, query: Query, body: Any, key: str | None) -> ServiceAnswer:
    """Send it under `key` or a new one: it can be sent again after a lost answer, and nothing is stored twice."""
    once = key or _make_key()
    try:
        return service.send("POST", path, query, body, once)
    except AwayError as error:
        if not error.arrived or error.final:
            raise
        again = f"it may have been stored; send it again with --key {once}, and it is stored once"
        raise AwayError(f"{error}\n{again}") from None


def _post_all(
    service: ServiceClient, path: str, query: Query, body: Any, key: str | None, batch: bool
) -> Iterator[tuple[ServiceAnswer, str]]:
    """Send it, a large batch in several requests; yield each answer, and how much is stored by then as text.

    The requests' keys are the command's key and a number: the same items, sent again, are stored once. Raises
    ClientError, which says what is stored by then.
    """
    items = body["items"] if batch else []
    if not isinstance(items, list) or len(items) <= BATCH_LIMIT:
        yield _post(service, path, query, body, key), ""
        return
    once, total = key or _make_key(), f"{len(items):,}"
    for number, start in enumerate(range(0, len(items), BATCH_LIMIT), 1):
        part = items[start : start + BATCH_LIMIT]
        with _adding_what_is_stored(start, total, once):
            answer = service.send("POST", path, query, {"items": part}, f"{once}-{number}")
        yield answer, f" ({start + len(part):,} of {total})"


@contextmanager
def _adding_what_is_stored(stored: int, total: str, key: str) -> Iterator[None]:
    """Add to what is raised how many are stored and how to send the rest."""
    again = f"send all of them again with --key {key}, and none is stored twice"
    left = f"{stored:,} of {total} are stored; {again}"
    try:
        yield
    except RequestRefusedError as error:
        raise RequestRefusedError(error.status, _shift(error.problem, stored), error.has_key, left) from None
    except AwayError as error:
        least = "at least " if error.arrived else ""
        raise AwayError(f"{error}\n{least}{left}", error.final, error.arrived) from None
    except KeyboardInterrupt:
        print(f"errand: {left}", file=sys.stderr)
        raise


def _shift(problem: Mapping[str, Any], by: int) -> Mapping[str, Any]:
    """Return a problem with the items' numbers among all, instead of those in the request."""

    def number(match: re.Match[str]) -> str:
        return f"#/items/{int(match[1]) + by}"

    faults = [
        {**fault, "pointer": re.sub(r"^#/items/(\d+)", number, str(fault.get("pointer") or ""))}
        for fault in problem.get("errors") or []
    ]
    return {**problem, "errors": faults}


def _make_key() -> str:
    return f"errand-{secrets.token_hex(16)}"


def _wait(service: ServiceClient, ids: Sequence[str], batch: bool, as_json: bool) -> None:
    paths = [(batch_path if batch else job_path)(id) for id in ids]
    end_with(watch_all(service, [(path, service.get(path)) for path in paths], as_json))


def _describe(answer: ServiceAnswer, batch: bool) -> str:
    sent = answer.body
    again = ", and was before: the same Idempotency-Key" if "Idempotency-Replayed" in answer.headers else ""
    if batch:
        return f"{sent['id']}  {sent['total']:,} {sent['type']} jobs stored{again}"
    return f"{sent['id']}  {sent['status']}{UNIQUE_NOTES.get(answer.headers.get('Errand-Unique'), '')}{again}"
