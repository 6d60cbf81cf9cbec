"""Storing a job for which somebody has filled in the form."""

from errand.api.console.changes.change import Action, Change, Done
from errand.api.console.form import PAYLOAD_FORM_BYTES, new_key
from errand.api.console.new.draft import read_draft
from errand.api.console.new.posting import post
from errand.api.console.page import Content
from errand.api.console.views.new import find_type, new_job, show_form
from errand.api.http.idempotency import REPLAYED
from errand.api.http.options import UNIQUE
from errand.api.http.problems import Problem

REUSED = "This form was sent before with other values. Send it again to make another job."
HIDDEN = "Not all of this JSON fits into the fields. Correct it first, or go on editing it as JSON."
CORRECTABLE = 400, 408, 413, 415, 422  # statuses whose cause can be corrected in the form
NOTICES = {"existing": "job-existing", "replaced": "job-replaced"}


async def send(change: Change) -> Done | Content:
    """Store the job, or store nothing and show the form in another way. Raises Problem (404, 503)."""
    draft = read_draft(find_type(change.look), change.form)
    key, asked = change.form.read_key() or new_key(), change.form.get("do")
    if asked == "curl":
        return show_form(draft, key=key)
    if asked == "json":
        return show_form(draft.as_json(), key=key)
    if asked == "fields":
        parted = draft.as_fields()
        return show_form(parted, key=key) if parted else show_form(draft, fault=HIDDEN, key=key)
    try:
        new, headers = await post(change.look.store, draft, key)
    except Problem as problem:
        if problem.status not in CORRECTABLE:
            raise
        if problem.name == "idempotency-key-reused":
            return show_form(draft, fault=REUSED)
        errors = problem.extra.get("errors", [])
        return show_form(draft, errors, "" if errors else f"{problem.detail}.", key)
    is_repeated = headers.items() >= REPLAYED.items()
    notice = NOTICES.get(headers.get(UNIQUE, ""), "job-sent-before" if is_repeated else "job-stored")
    return Done(f"job {new.id} of type {new.type.type} posted", change.renderer.url_for("job", id=new.id), notice)


ACTIONS = [
    Action("send-job", "/new/{type}", send, new_job, PAYLOAD_FORM_BYTES, seconds=None),
]
