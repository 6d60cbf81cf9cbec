"""`errand watch`: follows jobs and batches until they have ended."""

import sys
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Annotated

import typer

from errand.cli.client.follow import Logged, View, ended_well, follow, read
from errand.cli.client.http import ServiceClient
from errand.cli.client.problem import RequestRefusedError
from errand.cli.command import ask_service, print_error
from errand.cli.options import JsonOut

Found = tuple[str, View]
News = SimpleQueue[tuple[int, View | Logged | BaseException | None]]


def watch(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Jobs or batches.")], as_json: JsonOut = False
) -> None:
    """Watch jobs or batches until all of them have ended; exit 1 where one did not finish well.

    A bar each on a terminal, with what jobs log above, and a line for each change elsewhere; with --json one line for
    each that has ended.
    """
    with ask_service() as service:
        end_with(watch_all(service, [read(service, id) for id in dict.fromkeys(ids)], as_json))


def end_with(code: int) -> None:
    """End the command with an exit code, 0 by going on."""
    if code:
        raise typer.Exit(code)


def watch_all(service: ServiceClient, found: Sequence[Found], as_json: bool) -> int:
    """Show jobs and batches, given by path and view, until all have ended; return the exit code. Raises AwayError."""
    from errand.cli.draw import build_drawing

    last, refusals = [view for _, view in found], list[RequestRefusedError]()
    try:
        with build_drawing(last, as_json) as drawing:
            for number, news in _listen(service, found):
                if isinstance(news, RequestRefusedError):  # it has expired; the others go on
                    refusals.append(news)
                elif isinstance(news, BaseException):
                    raise news
                elif isinstance(news, Logged):
                    drawing.log(number, news.line)
                else:
                    last[number] = news
                    drawing.show(number, news)
    except KeyboardInterrupt:
        print("errand: stopped watching; what was sent goes on", file=sys.stderr)
        raise
    codes = [print_error(refusal) for refusal in refusals]
    return codes[0] if codes else int(not all(map(ended_well, last)))


def _listen(service: ServiceClient, found: Sequence[Found]) -> Iterator[tuple[int, View | Logged | BaseException]]:
    """Yield what comes, with the number of its job or batch; an exception ends the news of its number."""
    news: News = SimpleQueue()
    for number, (path, view) in enumerate(found):
        # Daemons, so that Ctrl-C does not wait for the next event of a stream.
        Thread(target=_follow, args=(service, number, path, view, news), daemon=True).start()
    left = len(found)
    while left:
        number, item = news.get()
        if item is None:
            left -= 1
        else:
            yield number, item


def _follow(service: ServiceClient, number: int, path: str, view: View, news: News) -> None:
    try:
        for newer in follow(service, path, view):
            news.put((number, newer))
    except BaseException as error:  # watch_all raises it again in the main thread
        news.put((number, error))
    news.put((number, None))
