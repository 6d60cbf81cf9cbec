"""A request to the API that `errand up` runs."""

import json
import urllib.request
from typing import Any

from errand.local.settings import UpOptions

# A proxy that the environment names is not asked for this machine's own addresses.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def call(options: UpOptions, path: str, body: Any = None, method: str = "GET", timeout_seconds: float = 10.0) -> Any:
    """Send one request; return the JSON of the answer. Raises OSError, HTTPError among them."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(options.base_url + path, data, headers, method=method)  # noqa: S310 - our own
    with _opener.open(request, timeout=timeout_seconds) as answer:
        return json.load(answer)
