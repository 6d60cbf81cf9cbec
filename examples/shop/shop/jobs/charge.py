"""Take the money for an order."""

from errand import Backoff, Depends, PermanentError, job
from shop.database import Database, open_database


class DeclinedError(PermanentError):
    """Raised when a customer can't pay: another try would not help, and the jobs after this one are canceled."""


@job(queue="orders", retry=Backoff(tries=8), timeout_seconds=30)
def run(order: str, db: Database = Depends(open_database)) -> None:
    """Charge an order once, even if the job runs again after its worker died or the provider could not be reached."""
    found = db.execute("SELECT email, paid_at FROM orders WHERE id = ?", [order]).fetchone()
    if found["paid_at"] is None:
        pay(order, found["email"])
        db.execute("UPDATE orders SET paid_at = CURRENT_TIMESTAMP WHERE id = ?", [order])
        db.commit()


def pay(order: str, email: str) -> None:
    """Call your payment provider here, with the order's id as the idempotency key. Raises DeclinedError."""
