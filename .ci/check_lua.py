"""Compiles every Lua script as it is assembled, under Lua 5.1.

It refuses globals, too many locals or upvalues, and long lines.

Run by `make check`. What a function uses is read from its bytecode (Lua 5.1, lundump.c and lopcodes.h).
"""

import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lupa import lua51

sys.path.insert(0, str(Path(__file__).parent.parent))

from errand.redis.lua.loader import FOLDER, ScriptError, assemble

LOCALS_LIMIT = 150  # Lua allows 200 at once in a function; the rest is for what a change adds
UPVALUES_LIMIT = 50  # Lua allows 60
LINE_LIMIT = 120  # characters, as in Python
KNOWN = {"redis", "cjson", "KEYS", "ARGV", "string", "table", "math", "ipairs", "pairs", "next", "tonumber", "tostring"}
KNOWN |= {"type", "unpack", "select", "pcall", "error", "assert", "setmetatable"}
GETGLOBAL, SETGLOBAL = 5, 7  # lopcodes.h


@dataclass
class Function:
    """A function of the bytecode, with those inside it."""

    line: int
    upvalues: int
    globals: dict[str, bool]  # by name, whether it is set
    locals: int  # the most at once
    inner: list["Function"] = field(default_factory=list)

    def walk(self) -> Iterator["Function"]:
        """Yield it and all inside it."""
        yield self
        for function in self.inner:
            yield from function.walk()


class Reader:
    """Reads what Lua 5.1's string.dump writes on a 64-bit machine with this one's byte order."""

    def __init__(self, dumped: bytes) -> None:
        self._dumped, self._at = dumped, 12  # behind the header

    def read(self, form: str) -> int:
        """Return the next number, of a form of struct's."""
        (value,) = struct.unpack_from(f"={form}", self._dumped, self._at)
        self._at += struct.calcsize(f"={form}")
        return int(value)

    def read_text(self) -> str:
        """Return the next text."""
        size = self.read("Q")
        text = self._dumped[self._at : self._at + max(0, size - 1)]
        self._at += size
        return text.decode(errors="replace")

    def read_constant(self) -> str | None:
        """Return the next constant if it is a text."""
        kind = self.read("B")
        if kind == 1:
            self._at += 1
        elif kind == 3:
            self._at += 8
        return self.read_text() if kind == 4 else None

    def read_function(self) -> Function:
        """Return the next function."""
        self.read_text()
        line, _ = self.read("i"), self.read("i")
        upvalues = self.read("B")
        self._at += 3
        code = [self.read("I") for _ in range(self.read("i"))]
        constants = [self.read_constant() for _ in range(self.read("i"))]
        inner = [self.read_function() for _ in range(self.read("i"))]
        lines = self.read("i")
        self._at += 4 * lines
        spans = []
        for _ in range(self.read("i")):
            self.read_text()
            spans.append((self.read("i"), self.read("i")))
        for _ in range(self.read("i")):
            self.read_text()
        used: dict[str, bool] = {}
        for instruction in code:
            if instruction & 0x3F in (GETGLOBAL, SETGLOBAL):
                name = str(constants[instruction >> 14])
                used[name] = used.get(name, False) or instruction & 0x3F == SETGLOBAL
        most = max((sum(first <= at < last for first, last in spans) for at, _ in spans), default=0)
        return Function(line, upvalues, used, most, inner)


def compile_script(text: str) -> Function:
    """Return a script's bytecode, read. Raises SyntaxError."""
    runtime = lua51.LuaRuntime(encoding="latin-1")
    load = runtime.eval("function(s) local f, e = loadstring(s, 'script') return f and string.dump(f), e end")
    dumped, error = load(re.sub(r"\A#!.*", "", text).encode().decode("latin-1"))
    if dumped is None:
        raise SyntaxError(error.encode("latin-1").decode())
    return Reader(dumped.encode("latin-1")).read_function()


def find_faults(name: str) -> Iterator[str]:
    """Yield what is wrong with a script."""
    try:
        script = compile_script(assemble(name))
    except (ScriptError, SyntaxError) as error:
        yield str(error)
        return
    for function in script.walk():
        where = f"line {function.line}: " if function.line else ""
        for used, is_set in function.globals.items():
            if is_set or used not in KNOWN:
                yield f"{where}{used} is a global"
        if function.locals > LOCALS_LIMIT:
            yield f"{where}{function.locals} locals at once, more than {LOCALS_LIMIT}"
        if function.upvalues > UPVALUES_LIMIT:
            yield f"{where}{function.upvalues} upvalues, more than {UPVALUES_LIMIT}"


def list_scripts() -> list[str]:
    """Return the names of all scripts."""
    folder = FOLDER / "scripts"
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.lua"))


def find_long_lines() -> Iterator[str]:
    """Yield where a line is too long."""
    for path in sorted(FOLDER.rglob("*.lua")):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if len(line) > LINE_LIMIT:
                yield f"{path.relative_to(FOLDER)}:{number}: {len(line)} characters, more than {LINE_LIMIT}"


def main() -> int:
    """Print what is wrong; return how many faults there are."""
    faults = [f"scripts/{name}.lua, assembled: {fault}" for name in list_scripts() for fault in find_faults(name)]
    faults += find_long_lines()
    most = max(list_scripts(), key=lambda name: compile_script(assemble(name)).locals)
    print("\n".join(faults) or f"{len(list_scripts())} Lua scripts are sound; the most locals are in {most}: ", end="")
    print("" if faults else compile_script(assemble(most)).locals)
    return len(faults)


if __name__ == "__main__":
    sys.exit(min(1, main()))
