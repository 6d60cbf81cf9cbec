"""Drawing what is watched: bars on a terminal, lines elsewhere, or nothing but the JSON of what has ended."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.table import Column
from rich.text import Text

from errand.cli.client.follow import View, has_ended, is_batch
from errand.cli.command import print_json
from errand.cli.moment import show_time
from errand.cli.plain import make_plain
from errand.cli.render import (
    STYLES,
    describe_end,
    describe_error,
    format_short_log_line,
    list_counts,
    make_console,
    show_value,
)

LABEL_WIDTH = 24  # columns: eight characters of the id, and the names of most types
BAR_WIDTH = 20  # of 80 columns, most are for the status and its message


class Drawing(ABC):
    """Shows views, each by its number, within a `with` statement."""

    @abstractmethod
    def show(self, number: int, view: View) -> None:
        """Show a view that is new or has changed."""

    @abstractmethod
    def log(self, number: int, line: View) -> None:
        """Show a line that a job has logged or printed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def build_drawing(views: Sequence[View], as_json: bool) -> Drawing:
    """Return what draws these views."""
    if as_json:
        return JsonOfEnds()
    console = make_console()
    return Bars(views) if console.is_terminal and not console.is_dumb_terminal else StatusLines(views)


class JsonOfEnds(Drawing):
    """Prints each as one line of JSON when it has ended."""

    def show(self, number: int, view: View) -> None:
        """Print it if it has ended."""
        if has_ended(view):
            print_json(view)

    def log(self, number: int, line: View) -> None:
        """Print nothing: `errand logs --json` does."""


class StatusLines(Drawing):
    """Prints a line when a status has changed, for a batch at each tenth of its jobs."""

    def __init__(self, views: Sequence[View]) -> None:
        self._ids = [make_plain(view["id"]) for view in views]
        self._last: dict[int, object] = {}

    def show(self, number: int, view: View) -> None:
        """Print a line if there is news."""
        news = (view["percent"] // 10, has_ended(view)) if is_batch(view) else view["status"]
        if self._last.get(number) == news:
            return
        self._last[number] = news
        # A job that is retried keeps its last error, which was shown when it came.
        error = describe_error(view) if has_ended(view) and not is_batch(view) else ""
        print("  ".join(filter(None, [self._ids[number], describe(view), error])), flush=True)

    def log(self, number: int, line: View) -> None:
        """Print it after the job's id, each line of a traceback as well."""
        for text in format_short_log_line(line).split("\n"):
            print(f"{self._ids[number]}  {text}", flush=True)


class Bars(Drawing):
    """Draws a bar for each; at the end, below them, the errors, or the result of a single job."""

    def __init__(self, views: Sequence[View]) -> None:
        self._views = list(views)
        self._console = make_console()
        columns = (_LabelColumn(), BarColumn(BAR_WIDTH), _PercentColumn(), _WordColumn())
        self._progress = Progress(*columns, console=self._console, expand=True)
        self._tasks = [self._progress.add_task("", total=100, completed=get_percent(view), view=view) for view in views]

    def __enter__(self) -> Self:
        try:
            self._progress.start()
        except BaseException:  # a Ctrl-C during the first drawing would leave the cursor hidden
            self._progress.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if kind is None:
            for view in self._views:
                self._print_end(view)

    def show(self, number: int, view: View) -> None:
        """Move a bar."""
        self._views[number] = view
        self._progress.update(self._tasks[number], completed=get_percent(view), view=view)

    def log(self, number: int, line: View) -> None:
        """Print it above the bars."""
        head = f"{self._views[number]['id'][:8]}  "
        self._progress.console.print(Text.assemble((head, "dim"), format_short_log_line(line)), soft_wrap=True)

    def _print_end(self, view: View) -> None:
        if is_batch(view):
            return
        if view["status"] != "finished" and (error := describe_error(view)):
            self._console.print(Text.assemble((f"{view['id'][:8]}  ", "dim"), (error, "red")), soft_wrap=True)
        elif len(self._views) == 1 and view.get("result") is not None:
            self._console.print(show_value(view["result"]), soft_wrap=True)


class _LabelColumn(ProgressColumn):
    def get_table_column(self) -> Column:
        return Column(no_wrap=True, overflow="ellipsis", max_width=LABEL_WIDTH)

    def render(self, task: Task) -> Text:
        view = task.fields["view"]
        count = f" ×{view['total']:,}" if is_batch(view) else ""
        return Text.assemble((f"{view['id'][:8]} ", "dim"), make_plain(view["type"]), count)


class _PercentColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.percentage:>3.0f} %")


class _WordColumn(ProgressColumn):
    def get_table_column(self) -> Column:
        return Column(no_wrap=True, overflow="ellipsis", ratio=1)

    def render(self, task: Task) -> Text:
        view = task.fields["view"]
        return Text(describe(view), style_of(view))


def get_percent(view: View) -> int:
    """Return how far a job or a batch is; 0 where nothing was reported."""
    return round((view if is_batch(view) else view["progress"])["percent"] or 0)


def style_of(view: View) -> str:
    """Return the colour of a job's status; a batch is red from its first failure on."""
    if is_batch(view):
        return "red" if view["failed"] else "green" if has_ended(view) else ""
    return STYLES.get(view["status"], "")


def describe(view: View) -> str:
    """Return in a few words where a job or a batch stands."""
    if is_batch(view):
        counts = ", ".join(f"{count:,} {name}" for name, count in list_counts(view) if name != "finished")
        return f"{view['finished']:,} of {view['total']:,} finished" + (f", {counts}" if counts else "")
    if view["status"] == "scheduled":
        again = "again " if view.get("attempts") else ""
        error = f": {describe_error(view)}" if again else ""
        return f"scheduled, runs {again}at {show_time(view.get('run_at'))[11:]}{error}"
    message = make_plain(view["progress"].get("message") or "")
    status = f"{view['status']}{describe_end(view)}"
    return f"{status}: {message}" if message else status
