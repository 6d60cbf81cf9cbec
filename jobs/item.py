"""Process one item, slowly: the tutorial's `process_data_in_background`, with its own database session."""

import time
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from errand import Depends, Progress, job
from jobs import log
from jobs._database import DatabaseSettings, Item, Session, session

ItemId = Annotated[int, Field(ge=0, lt=2**63)]


@job(timeout_seconds=120, settings=DatabaseSettings, example={"item_id": 7})
def run(item_id: ItemId, progress: Progress = Progress(), db: Session = Depends(session)) -> None:
    """Take three steps of a second, note the item as processed, and log a line."""
    for step in range(3):
        time.sleep(1)
        progress(step + 1, 3, f"item {item_id}")
    db.merge(Item(id=item_id, processed_at=datetime.now(UTC)))
    db.commit()
    log.run.enqueue(f"Finished processing item {item_id}")
