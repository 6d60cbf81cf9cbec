"""The one loader of Lua scripts: it puts a script together from the files that it includes.

A file of `scripts/` is a script; a file of `lib/` is a part of several. A line `-- include push, worker/records` in the
comment at a file's beginning names the parts that it uses. A part says what it gives (`-- gives push_job`), and these
names are all that others see of it: the rest of the file stands between `do` and `end`. `-- takes NAME` is a value that
whoever loads the script may give, false where it is not given. `keys.NAME` is what that name stands for in
errand/redis/keys.py.

Lua makes the functions of a script anew in every call; those of all parts would cost an exchange as much as half a job.
So what few calls need is in parts that say `-- rare`: their functions are fields, `rare.cancel_job`, all of them made
when the first one is asked for. A line `-- paste store/undo` inside a function stands for that part; what it
includes is included above, and its functions are made only where the call comes that far.
"""

import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from errand.redis import keys

FOLDER = Path(__file__).parent
Read = Callable[[str], str]
Value = str | int | float | bool | tuple[str, ...]
_HEADER = re.compile(r"\A(?:(?:#!|--).*\n)*")
_LINE = re.compile(r"^-- (include|gives|takes) (.+)$", re.M)
_RARE_NAME = re.compile(r"\brare\.(\w+)")
_RARE = re.compile(r"^-- rare$", re.M)
_PASTE = re.compile(r"^ +-- paste (.+)$", re.M)
_KEY = re.compile(r"\bkeys\.([A-Za-z_]+)")
_SET = re.compile(r"^(?:function (\w+)|(\w+(?:, \w+)*) = )", re.M)
_LOCAL = re.compile(r"^local (?:function )?(\w+(?:, \w+)*)", re.M)


class ScriptError(Exception):
    """Raised when a script can't be put together; the text names the file and what is wrong with it."""


@dataclass(frozen=True)
class ScriptPart:
    """A file: what it says of itself at its beginning, and its text without a line that would make it a script."""

    name: str
    text: str
    flags: str
    includes: tuple[str, ...]
    gives: tuple[str, ...]
    takes: tuple[str, ...]
    is_rare: bool


@cache
def read_script(name: str) -> str:
    """Return the script of this name («store/enqueue»), complete. Raises ScriptError."""
    return assemble(name)


def assemble(name: str, given: Mapping[str, Value] | None = None, read: Read | None = None) -> str:
    """Return a script with its parts, each once and after those that it includes itself, and with the values `given`.

    `read` returns the text of «scripts/<name>.lua» or «lib/<name>.lua», from this folder if it is left out. Raises
    ScriptError for a part that is not there, includes in a circle, a name that two parts give, a name that a part sets
    without giving it, a key that does not exist and a value that no part takes.
    """
    read = read or _read_file
    parts = list(_order(f"scripts/{name}", read, (), set()))
    seen: dict[str, str] = {}
    for part in parts:
        for gift in (*part.gives, *part.takes):
            if gift in seen:
                raise ScriptError(f"{part.name}.lua: {gift} is given by {seen[gift]}.lua already; rename one of them")
            seen[gift] = part.name
        _refuse_globals(part, {*seen, "rare"})
    gifts = {gift for part in parts if part.is_rare for gift in part.gives}
    for part in parts:
        if missing := set(_RARE_NAME.findall(part.text)) - gifts:
            raise ScriptError(f"{part.name}.lua: nothing it includes gives rare.{', rare.'.join(sorted(missing))}")
    takes = [taken for part in parts for taken in part.takes]
    if unknown := (given or {}).keys() - set(takes):
        raise ScriptError(f"scripts/{name}.lua: nothing there takes {', '.join(sorted(unknown))}")
    values = [f"local {taken} = {write_value((given or {}).get(taken, False))}" for taken in takes]
    *libraries, script = parts
    hot, rare = ([part for part in libraries if part.is_rare is is_rare] for is_rare in (False, True))
    bodies = [*map(_enclose, hot), *_put_off(rare), script.text]
    names = [gift for part in hot for gift in part.gives] + ["rare"] * bool(rare)
    texts = [script.flags, *_declare(names, bodies), *values, *bodies]
    return "\n".join(text for text in texts if text)


def write_value(value: Value) -> str:
    """Return a value in Lua: words become a set, {word = true}."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return "{" + ", ".join(f"[{write_value(word)}] = true" for word in value) + "}"
    escaped = (chr(byte) if 32 <= byte < 127 and byte not in b"\\'" else f"\\{byte:03d}" for byte in value.encode())
    return f"'{''.join(escaped)}'"


def _order(name: str, read: Read, path: tuple[str, ...], done: set[str]) -> Iterator[ScriptPart]:
    """Yield the parts of a file, each once, those that it includes first."""
    _refuse_circle(name, path)
    if name in done:
        return
    part = _read_part(name, read, path)
    for included in part.includes:
        yield from _order(f"lib/{included}", read, (*path, name), done)
    done.add(name)
    yield part


def _read_part(name: str, read: Read, path: tuple[str, ...]) -> ScriptPart:
    _refuse_circle(name, path)
    try:
        text = read(name)
    except FileNotFoundError:
        user = f"{path[-1]}.lua includes it" if path else "it is asked for"
        raise ScriptError(f"{name}.lua is not there; {user}") from None
    header = _HEADER.match(text)
    assert header is not None  # it matches the empty text, too
    said: dict[str, list[str]] = {"include": [], "gives": [], "takes": []}
    for kind, names in _LINE.findall(header[0]):
        said[kind] += re.split(r",\s*", names.strip())
    flags, body = "", text
    if text.startswith("#!"):
        flags, _, body = text.partition("\n")
    body = _KEY.sub(lambda match: _find_key(match[1], name), body)
    pasted = [_read_part(f"lib/{one}", read, (*path, name)) for one in _PASTE.findall(body)]
    texts = map(_wrap, pasted)
    body = _PASTE.sub(lambda _: next(texts), body)
    said["include"] += (included for part in pasted for included in part.includes)
    includes, gives, takes = (tuple(said[kind]) for kind in ("include", "gives", "takes"))
    is_rare = _RARE.search(header[0]) is not None
    for gift in gives if is_rare else ():
        if not re.search(rf"^(?:function )?rare\.{gift}\b", body, re.M):
            raise ScriptError(f"{name}.lua: it is rare and does not set rare.{gift}")
    return ScriptPart(name, body, flags, includes, gives, takes, is_rare)


def _refuse_circle(name: str, path: tuple[str, ...]) -> None:
    if name in path:
        raise ScriptError(f"{' includes '.join((*path, name))}: a circle; let one of them do without")


def _refuse_globals(part: ScriptPart, given: Container[str]) -> None:
    """Refuse a name that is set at the beginning of a line and neither local nor given; `make check` finds others."""
    declared = {name for names in _LOCAL.findall(part.text) for name in names.split(", ")}
    for function, names in _SET.findall(part.text):
        for name in (function or names).split(", "):
            if name not in declared and name not in given:
                raise ScriptError(f"{part.name}.lua: {name} is a global; make it local, or say that the file gives it")


def _declare(names: Sequence[str], bodies: Sequence[str]) -> Iterator[str]:
    """Yield what declares the names that parts give, those last that are used most.

    Whenever Lua makes a function it looks for each name that the function uses, from the last one on (luaF_findupval,
    Lua 5.1). In the order of the parts the functions of an exchange take a ninth more instructions.
    """
    uses = Counter(re.findall(r"\b[a-z_]+\b", "\n".join(bodies)))
    if names:
        yield f"local {', '.join(sorted(names, key=lambda name: uses[name]))}"


def _put_off(parts: Sequence[ScriptPart]) -> Iterator[str]:
    """Yield what makes the functions of rare parts when one of them is first asked for."""
    if parts:
        yield "rare = setmetatable({}, {__index = function(rare, name)\nsetmetatable(rare, nil)"
        yield from map(_enclose, parts)
        yield "return rare[name]\nend})"


def _enclose(part: ScriptPart) -> str:
    return f"do\n{part.text}\nend"


def _find_key(name: str, where: str) -> str:
    value: Any = getattr(keys, name, None)
    if not name.isupper() or not isinstance(value, str | int | float | tuple):
        raise ScriptError(f"{where}.lua: there is no keys.{name} in errand/redis/keys.py")
    return write_value(value)


def _wrap(part: ScriptPart) -> str:
    names = f"local {', '.join(part.gives)}\n" if part.gives else ""
    return f"{names}{_enclose(part)}"


def _read_file(name: str) -> str:
    return (FOLDER / f"{name}.lua").read_text("utf-8")
