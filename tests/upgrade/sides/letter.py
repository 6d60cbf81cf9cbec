"""Send a mail as `email` does, and go on until the ledger's gate is open: a worker may die when the mail is out."""

import time
from pathlib import Path
from typing import Any

from jobs import email, job


@job(queue="left", timeout_seconds=60)
def run(ledger: str, to: str) -> dict[str, Any]:
    sent = email.run(email.Message(to=[to], subject="News", text="None."))
    while not Path(ledger).with_suffix(".open").exists():
        time.sleep(0.05)
    return sent
