"""`errand new NAME`: writes a service into an empty folder."""

import re
from pathlib import Path
from typing import Annotated

import typer

from errand.cli.run.up import fail

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the service, and of its folder: shop-jobs.")]
OURS = ("errand", "rq-errand")  # as pip compares names


def new(name: Name) -> None:
    """Write a service into the empty folder NAME: its jobs, an endpoint, a test, a Procfile and a Dockerfile."""
    name = name.rstrip("/")  # as a shell completes the name of a folder that is there
    folder = Path(name)
    fault = find_fault(name) or find_content(folder)
    if fault:
        fail(fault)
    from errand.cli.new.write import read_range, write_service  # importing them takes as long as any other command

    try:
        written = write_service(folder, {"name": name, "range": read_range()})
    except OSError as error:
        fail(f"{error.filename or folder} can't be written: {error.strerror}")
    print(
        f"{len(written)} files are in {name}/; README.md says what they are. Next, in a virtual environment:\n\n"
        f"    cd {name} && pip install -e '.[dev]'\n"
        f"    errand up\n"
    )


def find_fault(name: str) -> str:
    """Return what is wrong with a service's name, which is its distribution's name too; "" for nothing."""
    if not re.fullmatch(r"[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?", name):
        return (
            f"{name!r} can't be a service's name: letters, digits, - and _, a letter first, as in errand new shop-jobs"
        )
    if re.sub("[-_]+", "-", name.lower()) in OURS:
        return f"{name} is the library's own name; choose another, as in errand new shop-jobs"
    return ""


def find_content(folder: Path) -> str:
    """Return what is in the way of a new service in a folder, "" for nothing; an empty repository is not."""
    if folder.is_dir():
        found = sorted(path.name for path in folder.iterdir() if path.name != ".git")
        return f"{folder}/ is not empty: there is {found[0]}; choose another name" if found else ""
    return f"{folder} exists and is not a folder; choose another name" if folder.exists() else ""
