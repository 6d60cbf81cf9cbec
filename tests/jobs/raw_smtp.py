"""A mail server of a few lines, for answers that a real one never gives."""

import socket
import threading
from contextlib import suppress

ORDINARY = {"CONNECT": "220 ready", "EHLO": "250 raw", "DATA": "354 go on", "QUIT": "221 bye"}


class RawServer:
    """Answers each command by its verb (`CONNECT` at first, `.` after the message); an empty answer hangs up."""

    def __init__(self, **answers: str) -> None:
        self.answers = ORDINARY | answers
        self.commands: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"smtp://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> "RawServer":
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection, connection.makefile("rwb") as stream, suppress(OSError):
                    self._talk(stream)

    def _talk(self, stream: socket.SocketIO) -> None:  # type: ignore[name-defined]
        step = "CONNECT"
        while answer := self.answers.get(step, "250 OK"):
            stream.write(f"{answer}\r\n".encode())
            stream.flush()
            if step == "QUIT" or not (line := self._read(stream, step, answer)):
                return
            step = line.split()[0].upper()
            self.commands.append(line.strip())

    def _read(self, stream: socket.SocketIO, step: str, answer: str) -> str:  # type: ignore[name-defined]
        line = str(stream.readline(), "utf-8")
        while step == "DATA" and answer.startswith("354") and line not in ("", ".\r\n"):
            line = str(stream.readline(), "utf-8")
        return line
