"""Make a small picture of a large one."""

import time

from errand import PermanentError, job


def read_picture(name: str) -> int:
    """Return how wide a picture is."""
    if name.endswith("7.jpg"):
        raise PermanentError(f"{name}: not a JPEG: it begins with 3C 68 74 6D 6C")
    return 4032


@job(rate="6/s", example={"picture": "harbour-1.jpg", "width": 320})
def run(picture: str, width: int = 320) -> dict[str, object]:
    """Return where the small picture lies, and how large it is."""
    wide = read_picture(picture)
    time.sleep(0.2)
    return {"picture": f"small/{picture}", "width": width, "height": width * 3024 // wide}
