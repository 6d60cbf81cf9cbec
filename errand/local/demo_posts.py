"""What `make demo` posts: one of each kind that there is to look at, by requests that anybody could send."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

BATCH_SIZE = 40  # at the sink's pace some ten seconds: long enough to watch a bar
REFUSED = 4  # of the batch: the sink refuses addresses under .invalid
BEGINS_SECONDS = 30  # the order waits this long, so that it can be seen waiting
Call = Callable[[str, Any, str], Any]  # path, body, method; returns the answer's JSON, and raises HTTPError

INVOICE = """<div style="font-family: sans-serif; max-width: 32rem; margin: auto; color: #222">
<h1 style="color: #0b6e4f; border-bottom: 2px solid">Thank you, Ada</h1>
<p>Your order <b>1042</b> is on its way. This is what it costs:</p>
<table style="width: 100%; border-collapse: collapse">
<tr style="text-align: left; background: #e8f3ee"><th style="padding: 6px">Article</th><th>Pieces</th><th>Euro</th></tr>
<tr><td style="padding: 6px">Notebook, ruled</td><td>3</td><td>12.60</td></tr>
<tr><td style="padding: 6px">Pencil, HB</td><td>10</td><td>7.50</td></tr>
</table>
<p><img alt="" src="cid:stamp" width="48" height="48"> Paid on the same day.</p>
</div>"""
ROWS = 'article,pieces,euro\n"Notebook, ruled",3,12.60\n"Pencil, HB",10,7.50\n'
STAMP = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><circle cx="24" cy="24" r="22" fill="#0b6e4f"/>'
    '<path d="M13 25l8 8 15-17" fill="none" stroke="#fff" stroke-width="5"/></svg>'
)


class Post(NamedTuple):
    """Something to post: `text` describes it; `send` posts it and returns the paths to follow, each with a name."""

    text: str
    send: Callable[[Call], Mapping[str, str]]


def _notify(call: Call) -> Mapping[str, str]:
    mail, line = call("/send-notification/ada@example.com?message=Hello+from+Errand", None, "POST")["jobs"]
    return {f"/v1/jobs/{mail}": "notification: e-mail", f"/v1/jobs/{line}": "notification: log"}


def _send_newsletter(call: Call) -> Mapping[str, str]:
    every = BATCH_SIZE // REFUSED
    items = [
        {
            "to": f"reader{number}@{'moved.invalid' if number % every == 0 else 'example.com'}",
            "subject": f"News {number}",
            "text": "It works.",
        }
        for number in range(1, BATCH_SIZE + 1)
    ]
    query = urlencode({"tag": "newsletter", "concurrency_key": "newsletter", "concurrency": 1})  # one at a time
    batch = call(f"/v1/batches/email?{query}", {"items": items}, "POST")
    return {batch["links"]["self"]: f"{BATCH_SIZE} e-mails"}


def _process_items(call: Call) -> Mapping[str, str]:
    for number in range(1, 7):
        call(f"/v1/jobs/item?{urlencode({'delay_seconds': 10 * number})}", {"item_id": number}, "POST")
    return {}


def _order(call: Call) -> Mapping[str, str]:
    def post(type: str, payload: Any, **query: Any) -> str:
        asked = urlencode({"tag": "order-1042", **query}, doseq=True)
        id: str = call(f"/v1/jobs/{type}?{asked}", payload, "POST")["id"]
        return id

    paid = post("log", {"text": "Order 1042 is paid"}, delay_seconds=BEGINS_SECONDS)
    mailed = post("email", _write_invoice(), after=paid)
    pack = {"to": "packing@example.com", "subject": "Pack order 1042", "text": "Three notebooks and ten pencils."}
    packed = post("email", pack, after=paid)
    post("log", {"text": "Order 1042 is done", "level": "notice"}, after=[mailed, packed])
    return {}


def _write_invoice() -> dict[str, Any]:
    def attach(text: str, **fields: str) -> dict[str, str]:
        return {"content": b64encode(text.encode()).decode(), **fields}

    return {
        "to": "Ada Lovelace <ada@example.com>",
        "reply_to": "orders@example.com",
        "subject": "Your order 1042",
        "text": "Thank you, Ada. Your order 1042 is on its way: 20.10 euro, paid.",
        "html": INVOICE,
        "attachments": [
            attach(ROWS, filename="order-1042.csv", content_type="text/csv"),
            attach(STAMP, filename="stamp.svg", content_type="image/svg+xml", content_id="stamp"),
        ],
    }


def _remind(call: Call) -> Mapping[str, str]:
    mail = {"to": "ada@example.com", "subject": "Still here?", "text": "You started the demo ten minutes ago."}
    query = urlencode({"tag": "reminder", "delay_seconds": 600, "unique_key": "demo", "unique": "replace"})
    call(f"/v1/jobs/email?{query}", mail, "POST")
    return {}


def _schedule(call: Call) -> Mapping[str, str]:
    schedule = {"type": "log", "payload": {"text": "A minute has passed"}, "every_seconds": 60}
    call("/v1/schedules/demo-every-minute", schedule, "PUT")
    return {}


POSTS = (
    Post("the tutorial's notification: an e-mail, and a log line after it", _notify),
    Post(f"a batch of {BATCH_SIZE} e-mails, {REFUSED} of them to addresses that are refused", _send_newsletter),
    Post("six items, one every ten seconds, each with its progress", _process_items),
    Post(f"an order in {BEGINS_SECONDS} seconds: four jobs that wait for one another, a mail with HTML", _order),
    Post("a reminder in ten minutes", _remind),
    Post("a log line every minute, by a schedule", _schedule),
)
