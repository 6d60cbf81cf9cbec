"""Welcome a reader."""

from errand import job


@job()
def run(reader: str) -> str:
    return f"Hello, {reader}!"
