"""What a run of the tests inherits from where it was started, and no test may depend on."""

import locale
import os
import signal
from collections.abc import Iterable

import pytest

# A shell has some of them ignored in what it starts under nohup or in the background, and children inherit that.
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
HERE = "127.0.0.1,::1,localhost"


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Set what surrounds this process, before anything is collected."""
    restore_signals(SIGNALS)
    direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    # A proxy that is set is for what is elsewhere: some tests install packages.
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = f"{direct},{HERE}" if direct else HERE
    if locale.getpreferredencoding(False).upper() != "UTF-8":
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")  # in which files are read that name no encoding


def restore_signals(numbers: Iterable[int]) -> None:
    """Let children be ended by these signals where they are ignored. This process still isn't ended by them.

    A handler that does nothing isn't inherited by another program; that a signal is ignored is.
    """
    for number in numbers:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
