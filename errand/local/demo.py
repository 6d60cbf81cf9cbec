"""`make demo`: the tutorial's notification and a batch of e-mails, with their progress drawn."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from errand.local.preflight import CannotStartError
from errand.local.processes import Output
from errand.local.request import call
from errand.local.settings import UpOptions
from errand.store.status import ENDED

NOTIFICATION = "/send-notification/ada@example.com?message=Hello+from+Errand"
BATCH_SIZE = 10


def run_demo(options: UpOptions, output: Output) -> None:
    """Post both, draw their progress until they have ended, and say where the results lie. Raises CannotStartError."""
    console = Console(highlight=False)
    console.print("\nPosting the tutorial's notification and a batch of ten e-mails …")
    mail, line = _call(options, NOTIFICATION, method="POST")["jobs"]
    items = [
        {"to": f"reader{number}@example.com", "subject": f"News {number}", "text": "It works."}
        for number in range(1, BATCH_SIZE + 1)
    ]
    batch = _call(options, "/v1/batches/email", {"items": items}, "POST")["links"]["self"]
    columns = (
        TextColumn("  {task.description:<22}"),
        BarColumn(40),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[word]}"),
    )
    with Progress(*columns, console=console) as bars:
        watched = {
            f"/v1/jobs/{mail}": "notification: e-mail",
            f"/v1/jobs/{line}": "notification: log",
            batch: "ten e-mails",
        }
        tasks = {path: bars.add_task(name, total=100, word="queued") for path, name in watched.items()}
        while tasks:
            for path, task in list(tasks.items()):
                if _draw(bars, task, _call(options, path)):
                    del tasks[path]
            time.sleep(0.1)
    _show_results(options, console)


def _draw(bars: Progress, task: TaskID, found: dict[str, Any]) -> bool:
    """Draw one bar; return whether it has ended."""
    if "total" in found:
        word = f"{found['finished']} of {found['total']} finished" + (
            f", {found['failed']} failed" if found["failed"] else ""
        )
        bars.update(task, completed=found["percent"], word=word)
        return bool(found["percent"] == 100)
    bars.update(task, completed=found["progress"]["percent"] or 0, word=found["status"])
    return found["status"] in ENDED


def _show_results(options: UpOptions, console: Console) -> None:
    mails = len(list(options.mail_folder.glob("*.eml")))
    console.print(f"\n{mails} mails lie in {options.mail_folder}/, the log line in log.txt")
    console.print(
        f"Look at {options.base_url}/docs and {options.base_url}/dashboard, or send one yourself:\n", soft_wrap=True
    )
    body = '{"to": "you@example.com", "subject": "Hello", "text": "It works."}'
    console.print(
        f"  curl {options.base_url}/v1/jobs/email -H 'Content-Type: application/json' -d '{body}'\n",
        soft_wrap=True,
        markup=False,
    )
    console.print("Everything stays up until Ctrl-C; what the processes say follows.\n")


def _call(options: UpOptions, path: str, body: Any = None, method: str = "GET") -> Any:
    try:
        return call(options, path, body, method)
    except OSError as error:
        raise CannotStartError(f"the demo got no answer ({path}: {error}); see {options.data}/errand.log") from error
