"""The curl command that posts what a form is about to send."""

import shlex
from collections.abc import Sequence
from urllib.parse import urlencode

HERE = '"$ERRAND_URL"'  # the page's script puts its own address there
KEY = '-H "Authorization: Bearer $ERRAND_KEY"'  # never the key itself


def write_curl(type: str, pairs: Sequence[tuple[str, str]], body: str) -> str:
    """Return the command, quoted for any POSIX shell."""
    query = f"?{urlencode(pairs, safe=':/@,')}" if pairs else ""
    path = shlex.quote(f"/v1/jobs/{type}{query}")
    return f"curl {HERE}{path} \\\n  {KEY} \\\n  -H 'Content-Type: application/json' \\\n  -d {shlex.quote(body)}"
