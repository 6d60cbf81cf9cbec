"""What the commands that ask a service share: the client, and how they print answers and errors and end."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from errand.cli.client.http import ServiceClient
from errand.cli.client.problem import AwayError, ClientError, RequestRefusedError
from errand.cli.client.settings import read_client_settings
from errand.cli.plain import make_plain

EXITS = (
    "Exit codes: 0 good; 1 a job that was watched did not finish well; 2 wrong usage; 3 refused by the service; "
    "4 no service there, or a fault in it; 130 Ctrl-C."
)


@contextmanager
def ask_service() -> Iterator[ServiceClient]:
    """Yield a client of the service at ERRAND_URL; print an error in plain words and end with its exit code."""
    try:
        yield ServiceClient(read_client_settings(os.environ))
        sys.stdout.flush()  # here, and not while the interpreter ends, where a reader that has gone would be an error
    except ClientError as error:
        raise typer.Exit(print_error(error)) from None
    except (LookupError, TypeError, AttributeError, ValueError) as error:  # JSON, but of another shape
        away = AwayError(f"the answer can't be read ({error!r}); is it Errand at ERRAND_URL, as new as this command?")
        raise typer.Exit(print_error(away)) from None


def print_error(error: ClientError) -> int:
    """Print an error on the error output; return its exit code."""
    print(f"errand: {make_plain(error, lines=True)}", file=sys.stderr)
    return error.code


def print_json(*items: Any) -> None:
    """Print each as one line of JSON."""
    for item in items:
        print(json.dumps(item))


def do_each(ids: Iterable[str], act: Callable[[str], None]) -> None:
    """Call `act` with each id; print a refusal, go on with the rest, and end with the exit code of the last refusal."""
    code = 0
    for id in ids:
        try:
            act(id)
        except RequestRefusedError as error:
            code = print_error(error)
    if code:
        raise typer.Exit(code)
