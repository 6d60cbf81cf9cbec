"""The shop's own data, which endpoints and jobs share: SQLite on one machine; on several, use PostgreSQL."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing

ORDERS = "CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, email, product, quantity, paid_at, packed_at)"
Database = sqlite3.Connection


def open_database() -> Iterator[Database]:
    """Yield a connection for one request or one attempt of a job; what is not committed is rolled back."""
    path = os.environ.get("SHOP_DATABASE", "shop.db")
    with closing(sqlite3.connect(path, timeout=20, check_same_thread=False)) as db:
        db.row_factory = sqlite3.Row
        db.execute(ORDERS)
        yield db
