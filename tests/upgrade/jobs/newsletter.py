"""Send a mail as the job `email` does, and go on for a while: a worker may die when the mail is out."""

from typing import Any

from jobs import Progress, email, job
from jobs.gate import wait_at_gate


@job(queue="email", timeout_seconds=600)
def run(to: str, progress: Progress = Progress()) -> dict[str, Any]:
    sent = email.run(email.Message(to=[to], subject="News", text="None."))
    progress(1, 2, "sent")
    wait_at_gate()
    return sent
