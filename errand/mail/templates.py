"""The templates of e-mails: `templates/<id>/subject.txt`, `html.html` and `text.txt`, in Jinja2.

Their authors are the application's own; what a request gives is data, which `html.html` escapes. They run in Jinja's
sandbox, and a variable that is missing is an error.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import (
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateError,
    TemplateSyntaxError,
    UndefinedError,
    meta,
    nodes,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

FOLDER = Path("templates")  # beside jobs/, in the folder that processes are started in
FILES = {"subject": "subject.txt", "html": "html.html", "text": "text.txt"}
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class TemplatesError(ValueError):
    """Raised where the templates are wrong; the text has a line for each fault, with file and line."""


class VariablesError(ValueError):
    """Raised where a template can't be rendered with the variables given."""


@dataclass(frozen=True)
class Rendered:
    """What a template rendered; None for what it has no file for."""

    subject: str | None
    html: str | None
    text: str | None


class MailTemplate:
    """One template. `parts` are its files by what they render; `needed` are the variables without a default."""

    def __init__(self, id: str, parts: Mapping[str, Template], needed: frozenset[str]) -> None:
        self.id = id
        self._parts = parts
        self._needed = needed

    def render(self, variables: Mapping[str, Any]) -> Rendered:
        """Return the parts with the variables in them. Raises VariablesError, which names all that are missing."""
        found = {name: self._render(part, variables) for name, part in self._parts.items()}
        subject = found.get("subject")
        return Rendered(None if subject is None else subject.strip(), found.get("html"), found.get("text"))

    def _render(self, part: Template, variables: Mapping[str, Any]) -> str:
        try:
            return part.render(variables)
        except UndefinedError as error:  # only now is it known: a branch that isn't taken needs nothing
            if missing := sorted(self._needed - variables.keys()):
                raise VariablesError(f"template {self.id} lacks {', '.join(missing)}") from None
            raise VariablesError(f"{FOLDER / str(part.name)}: {error}") from None
        except Exception as error:  # a filter or an operator that the given value doesn't fit
            raise VariablesError(f"{FOLDER / str(part.name)}: {type(error).__name__}: {error}") from None


def list_templates() -> Mapping[str, MailTemplate]:
    """Return the templates by id, as they were when this process first asked. Raises TemplatesError."""
    return _load(FOLDER.resolve())


@cache
def _load(folder: Path) -> Mapping[str, MailTemplate]:
    environment = _build_environment(folder)
    faults = [fault for name in environment.list_templates(["html", "txt"]) for fault in _find_fault(environment, name)]
    paths = sorted(path for path in folder.glob("*/") if not path.name.startswith(("_", ".")))
    faults += [fault for path in paths for fault in _check_folder(path)]
    if faults:
        raise TemplatesError("\n".join(faults))
    return {path.name: _read_template(environment, path) for path in paths}


def _read_template(environment: ImmutableSandboxedEnvironment, path: Path) -> MailTemplate:
    names = {part: f"{path.name}/{file}" for part, file in FILES.items() if (path / file).is_file()}
    parts = {part: environment.get_template(name) for part, name in names.items()}
    return MailTemplate(path.name, parts, _find_needed(environment, names.values()))


def _find_fault(environment: ImmutableSandboxedEnvironment, name: str) -> Iterator[str]:
    try:
        environment.get_template(name)
    except TemplateSyntaxError as error:
        yield f"{FOLDER / str(error.name or name)}: line {error.lineno}: {error.message}"
    except (TemplateError, UnicodeDecodeError) as error:
        yield f"{FOLDER / name}: {error}"


def _check_folder(path: Path) -> Iterator[str]:
    where = FOLDER / path.name
    if not _ID.fullmatch(path.name):
        yield f"{where}: the folder's name is the template's id; use lower-case letters, digits, - and _"
    if not any((path / FILES[part]).is_file() for part in ("html", "text")):
        yield f"{where}: there is neither {FILES['html']} nor {FILES['text']}"


def _build_environment(folder: Path) -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=lambda name: bool(name) and str(name).endswith(".html"),
        auto_reload=False,
        cache_size=-1,
    )


def _find_needed(environment: ImmutableSandboxedEnvironment, names: Iterable[str]) -> frozenset[str]:
    """Return the variables of templates and of what these include or extend, without those that have a default."""
    needed: set[str] = set()
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen or environment.loader is None:
            continue
        seen.add(name)
        tree = environment.parse(environment.loader.get_source(environment, name)[0])
        needed |= meta.find_undeclared_variables(tree) - set(_find_optional(tree))
        waiting += [found for found in meta.find_referenced_templates(tree) if found]
    return frozenset(needed)


def _find_optional(tree: nodes.Template) -> Iterator[str]:
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        if node.name in ("default", "d", "defined", "undefined") and isinstance(node.node, nodes.Name):
            yield node.node.name
