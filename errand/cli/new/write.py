"""The files of a new service. In template/ each name ends with `.tpl`, so that no tool takes it for one of ours."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

TEMPLATE = Path(__file__).parent / "template"
HIDDEN = "dot-"  # stands for the dot that begins a name: build tools leave hidden files out


def read_files(values: Mapping[str, str]) -> dict[str, str]:
    """Return the files of a service by path, each {{value}} filled in."""
    return {_name(path): _fill(path.read_text(encoding="utf-8"), values) for path in sorted(TEMPLATE.rglob("*.tpl"))}


def write_service(folder: Path, values: Mapping[str, str]) -> list[Path]:
    """Write a service into a folder; return its files. Raises OSError."""
    written = []
    for name, text in read_files(values).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def read_range() -> str:
    """Return the versions of the library that a service may have: from this one to the next that may break it.

    That is the next minor version before 1.0 and the next major one after it (semver.org, 4 and 8).
    """
    try:
        found = version("rq-errand")
    except PackageNotFoundError:  # run from a folder, and not installed
        return ""
    major, minor = found.split(".")[:2]
    return f">={found},<{f'0.{int(minor) + 1}' if major == '0' else int(major) + 1}"


def _name(path: Path) -> str:
    relative = path.relative_to(TEMPLATE).with_suffix("")
    name = relative.name
    return relative.with_name("." + name.removeprefix(HIDDEN) if name.startswith(HIDDEN) else name).as_posix()


def _fill(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace("{{" + name + "}}", value)
    return text
