"""One mail to all its recipients, in as many transactions as the server wants, and how its job's run ends for that."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from errand.contract.errors import ServiceDownError, UnfinishedError
from errand.mail.ledger import MailLedger
from errand.mail.transport import DeliveryError, Envelope, MailTransport, Outcome, Outcomes, RefusedError


def deliver(
    envelope: Envelope, message_id: str, transport: MailTransport, ledger: MailLedger, report: Callable[[str], None]
) -> dict[str, Any]:
    """Send a mail to those who are still without it; return the result once all who can have it do.

    `report` is called with each recipient as it is named to the server. Raises UnfinishedError while some have the mail
    and some wait, DeliveryError while none has it, RefusedError where none can have it, ServiceDownError where no mail
    can be sent now, and UnknownDeliveryError where MAIL_ON_UNKNOWN asks for that about those who may have it.
    """
    outcomes = dict(ledger.known)
    while remaining := [each for each in envelope.recipients if each not in outcomes and each not in ledger.held]:
        is_alone = not outcomes and not ledger.held
        found = _send(replace(envelope, recipients=remaining), transport, ledger, report, outcomes, is_alone)
        outcomes |= found
        if ledger.held or len(outcomes) < len(envelope.recipients) or _list(outcomes, "waits"):
            ledger.settle(found)
    return _conclude(envelope.recipients, outcomes, message_id, ledger)


def _send(
    envelope: Envelope,
    transport: MailTransport,
    ledger: MailLedger,
    report: Callable[[str], None],
    outcomes: Outcomes,
    is_alone: bool,
) -> Outcomes:
    """Return what became of the mail for the envelope's recipients.

    A refusal of all of them is raised where `is_alone`: no other recipient has an outcome or may have the mail. Else it
    is their outcome. Any other fault of all of them is raised unless others have got the mail; then they wait.
    """
    try:
        return transport.send(envelope, ledger, report)
    except RefusedError as error:
        if is_alone:
            raise
        return dict.fromkeys(envelope.recipients, Outcome("refused", str(error), is_whole=True))
    except (DeliveryError, ServiceDownError) as error:
        sent = set(_list(outcomes, "sent"))
        if isinstance(error, ServiceDownError):  # it stays one, unless this run itself has sent something
            sent -= set(ledger.known)
        if not sent:
            raise
        return dict.fromkeys(envelope.recipients, Outcome("waits", str(error), is_whole=True))


def _conclude(recipients: list[str], outcomes: Outcomes, message_id: str, ledger: MailLedger) -> dict[str, Any]:
    sent, waiting = _list(outcomes, "sent"), _list(outcomes, "waits")
    if waiting and not sent:
        raise DeliveryError(_describe(waiting, "RCPT TO "))
    if waiting:
        text = f"{len(sent)} of {len(recipients)} recipients have it; {_describe(waiting)}"
        raise UnfinishedError(text, _build_result(recipients, outcomes, message_id))
    if ledger.held:
        ledger.raise_unknown()
    if not sent:
        raise RefusedError(_describe(outcomes, before="every recipient was refused: "))
    result = _build_result(recipients, outcomes, message_id)
    ledger.finish(result)
    return result


def _build_result(recipients: list[str], outcomes: Outcomes, message_id: str) -> dict[str, Any]:
    """Return the job's result, which counts at the last try: those who still wait are given up."""
    shown: dict[str, dict[str, str]] = {}
    for recipient in recipients:
        outcome = outcomes.get(recipient, Outcome("waits", "it can't be known whether it went out"))
        status = "gave_up" if outcome.status == "waits" else outcome.status
        shown[recipient] = {"status": status} | ({"reason": outcome.reason} if outcome.reason else {})
    refused = {each: outcome.reason for each, outcome in outcomes.items() if outcome.status == "refused"}
    return {"message_id": message_id, "recipients": shown, "refused": refused}


def _list(outcomes: Outcomes, status: str) -> Outcomes:
    return {each: outcome for each, outcome in outcomes.items() if outcome.status == status}


def _describe(outcomes: Outcomes, prefix: str = "", before: str = "") -> str:
    """Return the reasons on one line; a reason that is the whole mail's stands there once."""
    if len(set(outcomes.values())) == 1 and all(outcome.is_whole for outcome in outcomes.values()):
        return next(iter(outcomes.values())).reason
    return before + "; ".join(f"{prefix}{each}: {outcome.reason}" for each, outcome in outcomes.items())
