"""One mail to all its recipients, in as many goes as the server wants, and how the run of its job ends for that."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from errand.contract.errors import ServiceDownError, UnfinishedError
from errand.mail.ledger import Delivery
from errand.mail.transport import DeliveryError, Envelope, MailTransport, Outcome, Outcomes, RefusedError


def deliver(
    envelope: Envelope, message_id: str, transport: MailTransport, delivery: Delivery, report: Callable[[str], None]
) -> dict[str, Any]:
    """Send a mail to those who are still without it; return the result once all who can have it do.

    Raises UnfinishedError while some have it and some wait, DeliveryError while none has, RefusedError where none can
    have it, ServiceDownError, and UnknownDeliveryError where that is what to do about those who may have it.
    """
    outcomes = dict(delivery.known)
    while remaining := [each for each in envelope.recipients if each not in outcomes and each not in delivery.held]:
        is_alone = not outcomes and not delivery.held
        found = _send(replace(envelope, recipients=remaining), transport, delivery, report, outcomes, is_alone)
        outcomes |= found
        if delivery.held or len(outcomes) < len(envelope.recipients) or _list(outcomes, "waits"):
            delivery.settle(found)
    return _conclude(envelope.recipients, outcomes, message_id, delivery)


def _send(
    envelope: Envelope,
    transport: MailTransport,
    delivery: Delivery,
    report: Callable[[str], None],
    outcomes: Outcomes,
    is_alone: bool,
) -> Outcomes:
    """Return what became of the mail; a fault that ends it for all of them is its outcome where others have another."""
    try:
        return transport.send(envelope, delivery, report)
    except RefusedError as error:
        if is_alone:
            raise
        return dict.fromkeys(envelope.recipients, Outcome("refused", str(error), is_whole=True))
    except (DeliveryError, ServiceDownError) as error:
        sent = set(_list(outcomes, "sent"))
        if isinstance(error, ServiceDownError):  # to be told as that, unless this run itself has sent something
            sent -= set(delivery.known)
        if not sent:
            raise
        return dict.fromkeys(envelope.recipients, Outcome("waits", str(error), is_whole=True))


def _conclude(recipients: list[str], outcomes: Outcomes, message_id: str, delivery: Delivery) -> dict[str, Any]:
    sent, waiting = _list(outcomes, "sent"), _list(outcomes, "waits")
    if waiting and not sent:
        raise DeliveryError(_describe(waiting, "RCPT TO "))
    if waiting:
        text = f"{len(sent)} of {len(recipients)} recipients have it; {_describe(waiting)}"
        raise UnfinishedError(text, _build_result(recipients, outcomes, message_id))
    if delivery.held:
        delivery.tell()
    if not sent:
        raise RefusedError(_describe(outcomes, before="every recipient was refused: "))
    result = _build_result(recipients, outcomes, message_id)
    delivery.finish(result)
    return result


def _build_result(recipients: list[str], outcomes: Outcomes, message_id: str) -> dict[str, Any]:
    """Return the job's result, or what it is if no try follows: those who wait have been given up then."""
    told: dict[str, dict[str, str]] = {}
    for recipient in recipients:
        outcome = outcomes.get(recipient, Outcome("waits", "it can't be known whether it went out"))
        status = "gave_up" if outcome.status == "waits" else outcome.status
        told[recipient] = {"status": status} | ({"reason": outcome.reason} if outcome.reason else {})
    refused = {each: outcome.reason for each, outcome in outcomes.items() if outcome.status == "refused"}
    return {"message_id": message_id, "recipients": told, "refused": refused}


def _list(outcomes: Outcomes, status: str) -> Outcomes:
    return {each: outcome for each, outcome in outcomes.items() if outcome.status == status}


def _describe(outcomes: Outcomes, prefix: str = "", before: str = "") -> str:
    """Return the reasons, that of the whole mail once."""
    if len(set(outcomes.values())) == 1 and all(outcome.is_whole for outcome in outcomes.values()):
        return next(iter(outcomes.values())).reason
    return before + "; ".join(f"{prefix}{each}: {outcome.reason}" for each, outcome in outcomes.items())
