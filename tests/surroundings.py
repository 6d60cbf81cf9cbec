"""What a run of the tests inherits from where it was started, and no test is to depend on."""

import locale
import signal
from collections.abc import Iterable

import pytest

# A shell has some of them ignored in what it starts under nohup or in the background, and children inherit that.
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Settle what surrounds this process, before anything is collected."""
    heed(SIGNALS)
    if locale.getpreferredencoding(False).upper() != "UTF-8":
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")  # in which files are read that name no encoding


def heed(numbers: Iterable[int]) -> None:
    """Let children heed these signals where they are ignored. This process still isn't ended by them.

    A handler that does nothing isn't inherited by another program; that a signal is ignored is.
    """
    for number in numbers:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
