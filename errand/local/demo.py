"""`make demo`: posts one of each kind, says where to look, and draws the progress of the first ones."""

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.error import HTTPError

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from errand.local.demo_posts import POSTS, Call
from errand.local.preflight import CannotStartError
from errand.local.request import call
from errand.local.settings import UpOptions
from errand.store.status import ENDED

DRAW_SECONDS = 0.1  # between two looks at all of them: the bars move smoothly
AWAY = 503
GONE = (404, 422)  # a job type that is gone; 422 for a schedule, which names its type in the body


def run_demo(options: UpOptions, keep_valkey: Callable[[], None]) -> None:
    """Post, say where to look, and draw what was posted first until it has ended. Raises CannotStartError.

    `keep_valkey` is called meanwhile: it starts Valkey again where it has ended.
    """
    console = Console(highlight=False)
    watched: dict[str, str] = {}
    console.print("\nPosting:")
    for post in POSTS:
        found = _send(options, post.send)
        if found is not None:
            console.print(f"  {post.text}", soft_wrap=True)
            watched |= found
    _show_pages(options, console)
    _draw_all(options, console, watched, keep_valkey)
    mails = len(list(options.mail_folder.glob("*.eml")))
    console.print(f"\n{mails} mails are in {options.mail_folder}/, log lines in log.txt")
    console.print("Everything stays up until Ctrl-C; what the processes say follows.\n")


def _send(options: UpOptions, send: Callable[[Call], Mapping[str, str]]) -> dict[str, str] | None:
    """Return what to draw, None where this project has removed the route or the job type."""
    try:
        return dict(send(lambda path, body, method: call(options, path, body, method)))
    except HTTPError as error:
        if error.code in GONE:
            return None
        raise _build_error(options, error) from error
    except OSError as error:
        raise _build_error(options, error) from error


def _show_pages(options: UpOptions, console: Console) -> None:
    console.print(f"\nLook at it in {options.base_url}/console, or send one yourself:\n", soft_wrap=True)
    body = '{"to": "you@example.com", "subject": "Hello", "text": "It works."}'
    console.print(
        f"  curl {options.base_url}/v1/jobs/email -H 'Content-Type: application/json' -d '{body}'\n",
        soft_wrap=True,
        markup=False,
    )


def _draw_all(options: UpOptions, console: Console, watched: dict[str, str], keep_valkey: Callable[[], None]) -> None:
    columns = (
        TextColumn("  {task.description:<22}"),
        BarColumn(40),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[word]}"),
    )
    with Progress(*columns, console=console) as bars:
        tasks = {path: bars.add_task(name, total=100, word="queued") for path, name in watched.items()}
        while tasks:
            for path, task in list(tasks.items()):
                found = _read(options, path)
                if found is not None and _draw(bars, task, found):
                    del tasks[path]
            keep_valkey()
            time.sleep(DRAW_SECONDS)


def _draw(bars: Progress, task: TaskID, found: dict[str, Any]) -> bool:
    """Draw one bar; return whether it has ended."""
    if "total" in found:
        failed = f", {found['failed']} failed" if found["failed"] else ""
        bars.update(task, completed=found["percent"], word=f"{found['finished']} finished{failed}")
        return bool(found["percent"] == 100)
    bars.update(task, completed=found["progress"]["percent"] or 0, word=found["status"])
    return found["status"] in ENDED


def _read(options: UpOptions, path: str) -> Any:
    """Return the API's answer, None while its Redis is away, as on a full disk."""
    try:
        return call(options, path)
    except OSError as error:
        if isinstance(error, HTTPError) and error.code == AWAY:
            return None
        raise _build_error(options, error) from error


def _build_error(options: UpOptions, error: OSError) -> CannotStartError:
    return CannotStartError(f"the demo got no answer ({error}); see {options.data}/errand.log")
