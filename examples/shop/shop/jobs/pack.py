"""Pack an order."""

import time

from errand import Depends, Progress, job
from shop.database import Database, open_database


@job(queue="orders", timeout_seconds=60)
def run(order: str, progress: Progress = Progress(), db: Database = Depends(open_database)) -> str:
    """Pack one piece after the other, and report the progress. Return what is in the box."""
    quantity: int = db.execute("SELECT quantity FROM orders WHERE id = ?", [order]).fetchone()["quantity"]
    for piece in range(quantity):
        time.sleep(0.05)
        progress(piece + 1, quantity, f"piece {piece + 1}")
    db.execute("UPDATE orders SET packed_at = CURRENT_TIMESTAMP WHERE id = ?", [order])
    db.commit()
    return f"{quantity} in a box"
