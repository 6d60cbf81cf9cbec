"""What the jobs of a process share, from before its first one until after its last."""

import signal
from collections.abc import Callable, Collection
from threading import Thread

from redis import RedisError

from errand.contract.hooks import NO_HOOKS, Hooks
from errand.worker.output.output import Output
from errand.worker.shared.context import BaseContext
from errand.worker.shared.hooks import HookCaller
from errand.worker.shared.loop import LoopThread, OwnLoop
from errand.worker.shared.streams import Streams

END_SECONDS = 10  # what is to run last may take so long in a process of one job


class Surroundings:
    """For a runner: the context in which jobs begin, the loop of async ones, the streams, the hooks of job files.

    `output` takes what the jobs log and print.
    """

    def __init__(self, hooks: Hooks = NO_HOOKS, streams: Streams | None = None, output: Output | None = None) -> None:
        self.context = BaseContext()
        self.loop = LoopThread()
        self.is_open = not hooks.start
        self._caller = HookCaller(hooks, self.context.context, self.loop.run)
        self._streams = streams
        self._output = output

    def open(self, opened: Callable[[], object]) -> None:
        """Begin to call what is to run first, in a thread of its own; call `opened` when that is done."""
        if self._output is not None:
            self._output.open()

        def call() -> None:
            if self._caller.start_patiently():
                self.is_open = True
                opened()

        if not self.is_open:
            Thread(target=call, daemon=True).start()

    def look(self, running: Collection[str]) -> None:
        """Mend what jobs did to the streams, but for those of the `running` ones, and end the output of the others."""
        if self._output is not None:
            self._output.look(running)
        if self._streams is not None:
            self._streams.look(running)

    def ship(self) -> RedisError | None:
        """Hand over what jobs have logged and printed, if it is time; return the error where Redis is away."""
        return None if self._output is None else self._output.ship()

    def close(self) -> None:
        """Call what is to run last, if it was open, and end what jobs left on the loop."""
        self._caller.give_up()
        if self.is_open:
            self._caller.stop()
            self.loop.close()
        if self._output is not None:
            self._output.close()
        if self._streams is not None:
            self._streams.restore()


class LoneSurroundings:
    """The same for a job in a process of its own."""

    def __init__(self, hooks: Hooks = NO_HOOKS, streams: Streams | None = None, output: Output | None = None) -> None:
        self.context = BaseContext()
        self.loop = OwnLoop()
        self._caller = HookCaller(hooks, self.context.context, self.loop.run)
        self._streams = streams
        self._output = output

    def open(self) -> bool:
        """Call what is to run first; return whether the job may begin."""
        if self._output is not None:
            self._output.open()
        return self._caller.start()

    def ship(self) -> None:
        """Hand over what the job has logged and printed, all of it. Raises RedisError."""
        if self._output is not None:
            self._output.look(())
            if (fault := self._output.ship(at_once=True)) is not None:
                raise fault

    def mend(self) -> None:
        """Mend what the job did to the streams."""
        if self._streams is not None:
            self._streams.restore()

    def close(self) -> None:
        """Call what is to run last, and end what the job left on the loop; SIGALRM ends a process that takes long."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(END_SECONDS)
        self._caller.stop()
        self.loop.close()
        if self._output is not None:
            self._output.close()
        signal.alarm(0)
        self.mend()
