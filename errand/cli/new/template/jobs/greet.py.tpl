"""Greet somebody, letter by letter."""

import time

from errand import Progress, job


@job(timeout_seconds=30)
def run(name: str, progress: Progress = Progress()) -> str:
    for done in range(len(name)):
        time.sleep(0.2)
        progress(done + 1, len(name), name[: done + 1])
    return f"Hello, {name}!"
