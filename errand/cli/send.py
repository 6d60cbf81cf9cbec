"""`errand send`: a job or a batch to the service."""

import secrets
from typing import Annotated, Any, Literal

import typer

from errand.cli.client.http import Answer, Service, batch_path, job_path
from errand.cli.client.problem import AwayError, WrongUsageError
from errand.cli.command import Fields, JsonOut, Payload, ask_service, print_json
from errand.cli.moment import read_span, read_time
from errand.cli.payload import read_payload
from errand.cli.watch import end_with, watch_all

After = Annotated[list[str] | None, typer.Option(metavar="ID", help="Run it after this job has finished; may repeat.")]
OnFailure = Annotated[
    Literal["cancel", "run", "wait"] | None, typer.Option(help="What becomes of it when a job of --after fails.")
]
At = Annotated[str | None, typer.Option(metavar="TIME", help="Run it then: 2026-12-24T18:00, or with an offset.")]
Delay = Annotated[str | None, typer.Option(metavar="SPAN", help="Run it in so long: 90, 90s, 5m, 2h, 1d.")]
Expires = Annotated[str | None, typer.Option(metavar="SPAN", help="Cancel it where it has not started in so long.")]
Tag = Annotated[list[str] | None, typer.Option(metavar="WORD", help="A word to find it by; may repeat.")]
Front = Annotated[bool, typer.Option("--front", help="Put it before all that wait in its queue.")]
Key = Annotated[str | None, typer.Option(metavar="NAME", help="Its Idempotency-Key: sent twice, it is stored once.")]
ConcurrencyKey = Annotated[str | None, typer.Option(metavar="WORD", help="Jobs under one key share --concurrency.")]
Concurrency = Annotated[int | None, typer.Option(metavar="N", help="So many jobs under the key run at once.")]
Webhook = Annotated[str | None, typer.Option(metavar="URL", help="An https URL that is told of the end.")]
Batch = Annotated[bool, typer.Option("--batch", help="Many payloads, one batch: a JSON list, or a payload a line.")]
Wait = Annotated[bool, typer.Option("--wait", help="Watch it until it has ended; exit 1 where it did not finish well.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the id alone.")]


def send(
    type: Annotated[str, typer.Argument(help="The job type: a file in jobs/.")],
    payload: Payload = None,
    field: Fields = None,
    after: After = None,
    on_failure: OnFailure = None,
    at: At = None,
    delay: Delay = None,
    expires: Expires = None,
    tag: Tag = None,
    front: Front = False,
    concurrency_key: ConcurrencyKey = None,
    concurrency: Concurrency = None,
    webhook: Webhook = None,
    key: Key = None,
    batch: Batch = False,
    wait: Wait = False,
    quiet: Quiet = False,
    as_json: JsonOut = False,
) -> None:
    """Send a job, or with --batch many; --wait watches it.

    errand send log '{"text": "Hello"}' · errand send log -f text=Hello · errand send log --batch @lines.jsonl
    """
    with ask_service() as service:
        if at is not None and delay is not None:
            raise WrongUsageError("give --at or --delay, not both")
        if quiet and (wait or as_json):
            raise WrongUsageError("--quiet goes with neither --wait nor --json")
        query = [
            *(("after", id) for id in after or []),
            ("on_failure", on_failure),
            ("run_at", None if at is None else read_time(at, "--at")),
            ("delay_seconds", None if delay is None else read_span(delay, "--delay")),
            ("expires_in_seconds", None if expires is None else read_span(expires, "--expires")),
            ("at_front", "true" if front else None),
            *(("tag", word) for word in tag or []),
            ("concurrency_key", concurrency_key),
            ("concurrency", concurrency),
            ("webhook", webhook),
        ]
        path = (batch_path if batch else job_path)(type)
        answer = _post(service, path, query, read_payload(payload, field or [], batch), key)
        if wait:
            _wait(service, answer.body, batch, as_json)
        elif as_json:
            print_json(answer.body)
        else:
            print(answer.body["id"] if quiet else _describe(answer, batch))


def _post(service: Service, path: str, query: list[tuple[str, Any]], body: Any, key: str | None) -> Answer:
    """Send it under a key, its own or one of ours, so that a lost answer is asked for again and nothing runs twice."""
    once = key or f"errand-{secrets.token_hex(16)}"
    try:
        return service.send("POST", path, query, body, once)
    except AwayError as error:
        if not error.arrived or error.final:
            raise
        again = f"it may have been stored; send it again with --key {once}, and it is stored once"
        raise AwayError(f"{error}\n{again}") from None


def _wait(service: Service, sent: Any, batch: bool, as_json: bool) -> None:
    path = (batch_path if batch else job_path)(sent["id"])
    end_with(watch_all(service, [(path, service.get(path))], as_json))


def _describe(answer: Answer, batch: bool) -> str:
    sent = answer.body
    again = ", and was before: the same Idempotency-Key" if "Idempotency-Replayed" in answer.headers else ""
    if batch:
        return f"{sent['id']}  {sent['total']:,} {sent['type']} jobs stored{again}"
    return f"{sent['id']}  {sent['status']}{again}"
