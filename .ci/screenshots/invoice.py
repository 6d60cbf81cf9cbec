"""Write an invoice."""

from errand import Backoff, job

CUSTOMERS = {"4711": {"name": "Harbour Books", "vat_id": "FR83404833048"}, "4712": {"name": "Lindqvist AB"}}


def find_vat_id(customer: str) -> str:
    """Return a customer's VAT number."""
    return CUSTOMERS[customer]["vat_id"]


@job(retry=Backoff(tries=2, base_seconds=1, cap_seconds=1), example={"customer": "4711", "lines": []})
def run(customer: str, lines: list[dict[str, str | int]]) -> str:
    """Return the invoice's number."""
    print(f"Invoice for customer {customer}, {len(lines)} lines")
    vat_id = find_vat_id(customer)
    return f"2026-{customer}-{vat_id[-4:]}"
