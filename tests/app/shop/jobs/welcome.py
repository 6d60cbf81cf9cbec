"""Welcome somebody."""

from errand import job


@job(queue="shop")
def run(email: str, tags: list[str] | None = None) -> str:
    return f"Welcome, {email}!"
