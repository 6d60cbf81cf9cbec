"""Running what job files want done in a process before its first job and after its last one."""

import inspect
import logging
from collections.abc import Callable
from contextvars import Context
from threading import Event, Timer
from typing import Any

from errand.contract.errors import name_type, read_message
from errand.contract.hooks import Hook, Hooks, name_hook
from errand.worker.logs import log_error

FIRST_WAIT_SECONDS = 1.0  # before a hook that failed is called again; twice as long each time
LONGEST_WAIT_SECONDS = 30.0  # a person who mends the reason waits no longer
LATE_SECONDS = 10.0  # after so long the log says what the worker waits for
logger = logging.getLogger("errand.worker")


class HookCaller:
    """Calls hooks in `context`, so that jobs find what they set there; async ones through `run_coroutine`."""

    def __init__(self, hooks: Hooks, context: Context, run_coroutine: Callable[..., Any]) -> None:
        self._hooks = hooks
        self._context = context
        self._run_coroutine = run_coroutine
        self._is_given_up = Event()

    def start(self) -> bool:
        """Call each once, up to the first that fails; return whether all of them have succeeded."""
        return all(self._call(hook, "no job is taken until it succeeds") for hook in self._hooks.start)

    def start_patiently(self) -> bool:
        """Call each until it has succeeded; return whether all have, before `give_up` was called."""
        for hook in self._hooks.start:
            wait_seconds = FIRST_WAIT_SECONDS
            while not self._call(hook, f"no job is taken; it is called again in {wait_seconds:g} s"):
                if self._is_given_up.wait(wait_seconds):
                    return False
                wait_seconds = min(2 * wait_seconds, LONGEST_WAIT_SECONDS)
            if wait_seconds > FIRST_WAIT_SECONDS:
                logger.info("%s: it has succeeded", name_hook(hook))
        return True

    def give_up(self) -> None:
        """Let nothing be called again that has failed."""
        self._is_given_up.set()

    def stop(self) -> None:
        """Call each, whatever the others do."""
        for hook in self._hooks.stop:
            self._call(hook, "the worker stops all the same")

    def _call(self, hook: Hook, consequence: str) -> bool:
        reminder = Timer(LATE_SECONDS, logger.warning, ("%s: it still runs; %s", name_hook(hook), consequence))
        reminder.daemon = True
        reminder.start()
        try:
            result = self._context.run(hook)
            if inspect.iscoroutine(result):
                self._run_coroutine(result, context=self._context)
        except BaseException as error:  # whatever it is, SystemExit too: no job may be lost for it
            about = name_hook(hook), name_type(error), read_message(error), consequence
            log_error(error, "%s: %s: %s; %s", *about)
            return False
        finally:
            reminder.cancel()
        return True
