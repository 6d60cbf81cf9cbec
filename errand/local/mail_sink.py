"""A local SMTP server that keeps every mail as a file: `python -m errand.local.mail_sink PORT FOLDER`.

It refuses recipients under `.invalid` (RFC 6761, section 6.4), to show what becomes of a refused mail.
"""

import asyncio
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

SECONDS_A_MAIL = 0.3  # as slow as a small real server, so that progress can be seen
MAILS_AT_ONCE = 2  # as a small real server would
REFUSED = ".invalid"


class MailFolder:
    """aiosmtpd's handler: one `.eml` a mail, written whole before it is acknowledged."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with suppress(OSError):  # a full disk; each mail tries again
            folder.mkdir(parents=True, exist_ok=True)
        self._room = asyncio.Semaphore(MAILS_AT_ONCE)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, or refuse it."""
        if address.lower().endswith(REFUSED):
            return "550 5.1.1 No such user here"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep one mail, or answer 452 where it can't be written."""
        async with self._room:
            await asyncio.sleep(SECONDS_A_MAIL)
        content = envelope.content
        assert isinstance(content, bytes)
        path = self._folder / f"{time.time_ns()}.eml"
        recipients = ", ".join(envelope.rcpt_tos)
        part = path.with_suffix(".part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part.write_bytes(f"X-Envelope-To: {recipients}\r\n".encode() + content)
            part.rename(path)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            print(f"a mail can't be kept in {self._folder}/: {error.strerror}", flush=True)
            return "452 4.3.1 No room for it now"
        print(f"{path}", flush=True)  # the file alone says whose it is: addresses have no place in the output
        return "250 Kept"


async def serve(port: int, folder: Path) -> None:
    """Serve on loopback until cancelled."""
    handler = MailFolder(folder)

    def build() -> Any:
        return SMTP(handler, hostname="localhost", enable_SMTPUTF8=True)

    server = await asyncio.get_running_loop().create_server(build, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
