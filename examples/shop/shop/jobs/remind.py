"""Remind somebody who signed up and has not ordered yet."""

from errand import Depends, job
from errand.builtin import email
from shop.database import Database, open_database


@job()
def run(address: str, db: Database = Depends(open_database)) -> bool:
    """Return whether a reminder was sent."""
    if db.execute("SELECT 1 FROM orders WHERE email = ?", [address]).fetchone():
        return False
    email.run.enqueue(email.Message(to=[address], subject="Still there?", text="The tea is getting cold."))
    return True
