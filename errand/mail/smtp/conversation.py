"""One message over a connection: MAIL, a RCPT for each recipient, DATA, and what the answers mean for each."""

import smtplib
from typing import Literal

from errand.contract.errors import ServiceDownError
from errand.mail.smtp.codes import Meaning, Reply, SmtpStep, judge, show
from errand.mail.smtp.connection import Connection
from errand.mail.transport import DeliveryError, Ledger, Outcome, Outcomes, RefusedError


class Conversation:
    """One message. Its methods raise DeliveryError where the connection ends, which the message may have caused."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.is_begun = False
        self.is_left = False  # it was not taken: the server has to forget it
        self.is_worn = False  # the server may have had enough of the connection: the next mail gets a new one
        self._is_tired = False
        self._accepted: list[str] = []
        self._outcomes: Outcomes = {}

    @property
    def is_stale(self) -> bool:
        """Whether a kept connection may be why nobody has the mail, which did not begin: a new one may do better."""
        return self.connection.is_used and not self.is_begun and (self._is_tired or not self.connection.is_open)

    def begin(self, sender: str, recipients: list[str], options: str = "") -> None:
        """Say who the message is from; `recipients` are those that will be named, `options` MAIL's (RFC 1869).

        Raises ServiceDownError, and RefusedError where the sender or the message is refused for good.
        """
        command = f"MAIL FROM:{smtplib.quoteaddr(sender)}{options}"
        self.connection.announce(SmtpStep.MAIL, command, *map(_name, recipients))
        reply = self.connection.ask(SmtpStep.MAIL, command)
        meaning = self._judge(SmtpStep.MAIL, reply)
        if meaning is Meaning.YES:
            return
        self._is_tired = True  # the server may have had enough of a used connection
        if meaning is Meaning.DOWN:
            self.connection.close()
            raise ServiceDownError(f"{SmtpStep.MAIL} at {self.connection.server.place}: {show(reply)}")
        kind = DeliveryError if meaning is Meaning.LATER else RefusedError
        raise kind(f"{SmtpStep.MAIL}: {show(reply)}")

    def address(self, recipient: str) -> None:
        """Name one recipient; the answer counts for it alone."""
        reply = self.connection.ask(f"{SmtpStep.RCPT} {recipient}", _name(recipient))
        meaning = self._judge(SmtpStep.RCPT, reply, f" {recipient}")
        if meaning is Meaning.YES:
            self._accepted.append(recipient)
        elif meaning is not Meaning.FULL:
            self._outcomes[recipient] = Outcome("waits" if meaning is Meaning.LATER else "refused", show(reply))

    def deliver(self, message: bytes, ledger: Ledger) -> Outcomes:
        """Send the message to those who were accepted; return what became of it for each that was named.

        Those who were too many are left out. What `ledger` raises before the message goes out ends the conversation.
        """
        self.is_left = True
        if not self._accepted:
            self._is_tired = any(outcome.status == "waits" for outcome in self._outcomes.values())
            return self._outcomes
        reply = self.connection.ask(SmtpStep.DATA, "DATA")
        step, meaning = SmtpStep.DATA, self._judge(SmtpStep.DATA, reply)
        if meaning is Meaning.YES:
            step, reply = SmtpStep.MESSAGE, self._send(message, ledger)
            meaning = judge(step, reply)
        else:
            self._is_tired = True
        return self._outcomes | dict.fromkeys(self._accepted, self._conclude(step, reply, meaning))

    def _conclude(self, step: SmtpStep, reply: Reply, meaning: Meaning) -> Outcome:
        if meaning is Meaning.YES:
            self.is_left = False
            return Outcome("sent")
        if meaning is Meaning.NONSENSE:
            self.connection.close()
            raise DeliveryError(f"{SmtpStep.DATA}: {show(reply)}")
        self.is_worn = self.connection.is_used
        status: Literal["waits", "refused"] = "waits" if meaning is Meaning.LATER else "refused"
        return Outcome(status, f"{SmtpStep.DATA}: {show(reply)}", is_whole=True)

    def _send(self, message: bytes, ledger: Ledger) -> Reply:
        """Send the message's lines and return the answer; until the first one it is certain that nothing was sent."""
        try:
            ledger.begin(self._accepted)
            self.is_begun = True
            code, text = self.connection.send(SmtpStep.DATA, message)
        except BaseException:
            self.connection.close()  # the server would take anything, RSET too, for lines of the message
            raise
        if 400 <= code < 600:
            ledger.withdraw()
        return code, text

    def _judge(self, step: SmtpStep, reply: Reply, whom: str = "") -> Meaning:
        """Return what a reply means. Raises DeliveryError where the connection ended with it."""
        meaning = judge(step, reply, not self._accepted)
        if meaning is Meaning.NONSENSE:  # nobody knows what the next reply would belong to
            self.connection.close()
        if not self.connection.is_open:
            raise DeliveryError(f"{step}{whom}: {show(reply)}")
        return meaning


def _name(recipient: str) -> str:
    return f"RCPT TO:{smtplib.quoteaddr(recipient)}"
