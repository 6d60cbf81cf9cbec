"""What is wrong with an application that can't be imported, in one line: its file and line, and Python's error."""

import os
import sysconfig
import traceback
from pathlib import Path

from errand.app.find import TargetError
from errand.contract.errors import ContractError
from errand.redis.settings import SettingsError

LINES_LIMIT = 10  # an error's text may be pages long
PLAIN = (TargetError, SettingsError, ContractError)  # their texts name the place and what to do


def describe(error: BaseException) -> str:
    """Return what a person needs to fix it: `shop/main.py:3: NameError: name 'x' is not defined`."""
    if isinstance(error, PLAIN):
        return str(error)
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    place = _find_place(error)
    lines = (f"{place}: {said}" if place else said).splitlines()
    return "\n".join(lines[:LINES_LIMIT])


def trace(error: BaseException) -> str:
    """Return Python's traceback where it says more than `describe`, else ""."""
    return "" if isinstance(error, (*PLAIN, SyntaxError)) else "".join(traceback.format_exception(error))


def _find_place(error: BaseException) -> str:
    """Return the innermost place in the application's own code, or in any code where there is none; "" without one."""
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno))
    if not places:
        return ""
    own = [place for place in places if _is_own(Path(place[0]))]
    path, line = (own or places)[-1]
    return f"{os.path.relpath(path) if own else path}:{line}"


def _is_own(path: Path) -> bool:
    """Return whether a file is below this folder, but not in a virtual environment there."""
    here, installed = Path.cwd(), Path(sysconfig.get_path("purelib"))
    return path.is_relative_to(here) and not path.is_relative_to(installed) and "site-packages" not in path.parts
