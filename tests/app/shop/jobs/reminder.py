"""Remind somebody."""

from errand import job


@job(queue="shop")
def run(email: str) -> str:
    return f"Come back, {email}!"
