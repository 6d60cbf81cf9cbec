"""Encode a film, frame by frame."""

import logging
import time

from errand import Progress, job

logger = logging.getLogger("video")


@job(queue="video", timeout_seconds=3600, example={"title": "Launch film", "frames": 1200})
def run(title: str, frames: int, done: int = 0, progress: Progress = Progress()) -> str:
    """Return where the film lies."""
    logger.info("Encoding %s: 1920 × 1080, 25 frames a second", title)
    for frame in range(done, frames):
        if frame % 100 == 0:
            logger.info("Frame %s of %s", f"{frame:,}", f"{frames:,}")
        progress(frame, frames, f"frame {frame:,} of {frames:,}")
        time.sleep(0.25)
    return f"films/{title.lower().replace(' ', '-')}.mp4"
