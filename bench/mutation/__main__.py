"""`python -m bench.mutation errand/contract`: changes a room bit by bit, and lists what no test notices."""

import argparse
import ast
import gc
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.mutation.operators import Mutant, Site, compile_mutant, list_mutants
from bench.mutation.reach import Reach, choose, gather
from bench.mutation.trial import SURVIVED, UNFIT, Functions, Trial, find_caches, find_functions, replace

ROOT = Path(__file__).parents[2]
# The tests that run the library in their own process. Those that only start it are in no line's reach.
TESTS = ["app", "contract", "jobs", "log", "logs", "mail", "store", "testing", "webhook", "api", "worker"]
QUICK = "not browser and not slow and not thorough and not valkey"
Change = tuple[Mutant, Site, ast.Module]  # of a file, whose tree is the last
UNREACHED, AT_IMPORT = "unreached", "at import"


def main() -> None:
    """Try what has not been tried yet, and add a line for each to the file of results."""
    parser = argparse.ArgumentParser(prog="python -m bench.mutation", description=__doc__)
    parser.add_argument("paths", nargs="+", help="folders or files of errand/")
    parser.add_argument("--data", type=Path, default=ROOT / ".mutation", help="where the results are kept")
    parser.add_argument("--seconds", type=float, default=20.0, help="of tests for one change")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="folders of tests/")
    parser.add_argument("--minutes", type=float, default=600.0, help="after which it ends; call it again to go on")
    parser.add_argument("--again", nargs="*", default=[], help="try those anew that have one of these statuses")
    parser.add_argument("--list", default="", help="print the changes that have this status, and try none")
    parser.add_argument("--gather", action="store_true", help="find out anew which tests reach which lines")
    arguments = parser.parse_args()
    arguments.data.mkdir(exist_ok=True)
    os.chdir(ROOT)
    # What Hypothesis finds under a change is no example for the code without it.
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(arguments.data.absolute() / "hypothesis")
    results = Results(arguments.data / "results.jsonl")
    mutants = [found for path in _list_files(arguments.paths) for found in _read(path)]
    if arguments.list:
        return results.show(mutants, arguments.list)
    reach_file = arguments.data / "reach.json"
    options = ["-q", "-s", "-p", "no:cacheprovider", "-m", QUICK, *(f"tests/{name}" for name in arguments.tests)]
    if arguments.gather or not reach_file.exists():
        pid = os.fork()  # what these tests leave in the process is not for those below
        if pid == 0:
            gather(ROOT, reach_file, options)
            os._exit(0)
        os.waitpid(pid, 0)
    left = [found for found in mutants if results.status(found[0]) in ("", *arguments.again)]
    trials = Trials(json.loads(reach_file.read_text()), left, results, arguments)
    pytest.main(options, plugins=[trials])
    return results.show(mutants, "")


def _list_files(paths: list[str]) -> Iterator[str]:
    for path in map(Path, paths):
        found = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        yield from (str(each.absolute().relative_to(ROOT)) for each in found)


def _read(path: str) -> list[Change]:
    tree = ast.parse((ROOT / path).read_text())
    return [(mutant, site, tree) for mutant, site in list_mutants(path, tree)]


class Results:
    """The file of results, a JSON object a line; the last one of a change counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self._found: dict[str, dict[str, Any]] = {found["id"]: found for found in map(json.loads, lines)}

    def status(self, mutant: Mutant) -> str:
        """Return what became of it, "" where it was not tried."""
        return str(self._found.get(mutant.id, {}).get("status", ""))

    def add(self, mutant: Mutant, status: str, **more: Any) -> None:
        """Write down what became of it."""
        self._found[mutant.id] = found = {"id": mutant.id, **vars(mutant), "status": status, **more}
        with self._path.open("a") as file:
            file.write(json.dumps(found) + "\n")

    def show(self, mutants: list[Change], wanted: str) -> None:
        """Print the changes of a status, or how many have each, by folder."""
        counts: dict[str, Counter[str]] = {}
        for mutant, *_ in mutants:
            status = self.status(mutant) or "not tried"
            counts.setdefault(mutant.path, Counter())[status] += 1
            if status == wanted:
                tests = self._found.get(mutant.id, {}).get("tests", "")
                print(f"{mutant.id} {mutant.path}:{mutant.line} {mutant.function} [{mutant.operator}] ({tests} tests)")
                print(f"    - {mutant.before}\n    + {mutant.after}")
        counts["all"] = sum(counts.values(), Counter())
        for path, found in counts.items():
            print(path, *(f"{status}: {count}" for status, count in sorted(found.items())), sep="  ")


class Trials:
    """A plugin of pytest that runs no test of its own accord, but for each change those that reach it."""

    def __init__(self, reach: Reach, left: list[Change], results: Results, asked: Any) -> None:
        self._reach, self._left, self._results, self._asked = reach, left, results, asked
        self._caches: list[Any] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try them."""
        functions, self._caches = find_functions(str(ROOT / "errand")), find_caches()
        gc.collect()
        gc.freeze()  # a child need not look through what is imported
        trial = Trial(session)
        known = {item.nodeid for item in session.items}
        ends_at = time.monotonic() + self._asked.minutes * 60
        for number, tried in enumerate(self._left):
            if time.monotonic() > ends_at:
                break
            self._try(trial, functions, known, tried)
            if number % 50 == 0:
                print(f"{time.strftime('%T')} {number} of {len(self._left)}", flush=True)
        return True

    def _try(self, trial: Trial, functions: Functions, known: set[str], tried: Change) -> None:
        mutant, site, tree = tried
        if not mutant.function:
            return self._results.add(mutant, AT_IMPORT)
        path = str(ROOT / mutant.path)
        end = getattr(site.old, "end_lineno", None) or mutant.line
        room = mutant.path.split("/")[1]
        lines = range(mutant.line, end + 1)
        tests = [test for test in choose(self._reach, mutant.path, lines, room, self._asked.seconds) if test in known]
        if not tests:
            return self._results.add(mutant, UNREACHED)
        before, after = compile(tree, path, "exec"), compile_mutant(tree, site, path)

        def change() -> str:
            count = replace(functions.get(path, []), before, after)
            for cache in self._caches:
                cache.cache_clear()
            return "" if count else "no living function has this code"

        expected = sum(self._reach["seconds"][test] for test in tests)
        began = time.monotonic()
        status, test = trial.run(change, tests, 5 + expected * 3)
        took = round(time.monotonic() - began, 2)
        more = {"tests": len(tests)} if status == SURVIVED else {"fault" if status == UNFIT else "by": test}
        return self._results.add(mutant, status, seconds=took, **more)


if __name__ == "__main__":
    main()
