"""A mail server of a few lines, for answers that a real one never gives."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

ORDINARY = {"CONNECT": "220 ready", "EHLO": "250 raw", "DATA": "354 go on", "QUIT": "221 bye"}


class RawServer:
    """Answers each command by its verb (`CONNECT` at first, `.` after the message); an empty answer hangs up.

    An answer may be a function of the command. `once` holds answers that are given once, before those in `answers`. It
    serves one connection after the other. `messages` are their lines as they came.
    """

    def __init__(self, **answers: "str | Callable[[str], str]") -> None:
        self.answers = ORDINARY | answers
        self.once: dict[str, str] = {}
        self.commands: list[str] = []
        self.messages: list[str] = []
        self.connections = 0
        self._open: socket.socket | None = None
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"smtp://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> "RawServer":
        return self

    def __exit__(self, *error: object) -> None:
        for each in (self._socket, self._open):
            with suppress(OSError, AttributeError):
                each.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                self._open = connection = self._socket.accept()[0]
                self.connections += 1
                with suppress(OSError), connection, connection.makefile("rwb") as stream:
                    self._talk(stream)

    def _talk(self, stream: socket.SocketIO) -> None:  # type: ignore[name-defined]
        step, line = "CONNECT", ""
        while answer := self._answer(step, line):
            stream.write(f"{answer}\r\n".encode())
            stream.flush()
            if step == "QUIT" or not (line := self._read(stream, step, answer)):
                return
            step = line.split()[0].upper()
            self.commands.append(line.strip())

    def _answer(self, step: str, line: str) -> str:
        answer = self.once.pop(step, self.answers.get(step, "250 OK"))
        return answer if isinstance(answer, str) else answer(line.strip())

    def _read(self, stream: socket.SocketIO, step: str, answer: str) -> str:  # type: ignore[name-defined]
        line = str(stream.readline(), "utf-8")
        if step == "DATA" and answer.startswith("354"):
            message = ""
            while line not in ("", ".\r\n"):
                message += line
                line = str(stream.readline(), "utf-8")
            self.messages.append(message)
        return line
