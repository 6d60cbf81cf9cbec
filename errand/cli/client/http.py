"""Requests to the service."""

import json
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from socket import gaierror
from typing import Any, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from errand.cli.client.problem import AwayError, RequestRefusedError
from errand.cli.client.settings import ClientSettings
from errand.redis.refusals import REFUSALS

TIMEOUT_SECONDS = 15.0  # for each wait on the connection; the API itself answers within 2 s, if only with a 503
STREAM_TIMEOUT_SECONDS = 40.0  # a stream has a comment at least every 15 s: two of them may be late
PAUSES_SECONDS = (0.3, 1.0)  # before a second and a third try: a service that restarts is often back by then

Query = Iterable[tuple[str, Any]]


@dataclass(frozen=True)
class ServiceAnswer:
    """An answer that is no error; `body` is its parsed JSON, None where it has none."""

    status: int
    headers: Any
    body: Any


class ServiceClient:
    """The service at one URL. Its methods raise RequestRefusedError for a 4xx, and AwayError for a 5xx or no answer."""

    def __init__(self, settings: ClientSettings) -> None:
        self.url = settings.url
        self._key = settings.key
        self._is_local = settings.is_local
        self._opener = _build_opener(settings)

    def get(self, path: str, query: Query = ()) -> Any:
        """Return the JSON at a path; a lost answer is asked for again."""
        return self.send("GET", path, query).body

    def send(
        self,
        method: str,
        path: str,
        query: Query = (),
        body: Any = None,
        once_key: str = "",
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> ServiceAnswer:
        """Send a request; it is sent again only where that does no harm: GET, and POST with an Idempotency-Key."""
        request = self._build(method, path, query, body)
        if once_key:
            request.add_header("Idempotency-Key", once_key)
        pauses = PAUSES_SECONDS if once_key or method == "GET" else ()
        for pause_seconds in pauses:
            try:
                return self._exchange(request, timeout_seconds)
            except AwayError as error:
                if error.final:
                    raise
                time.sleep(pause_seconds)
        return self._exchange(request, timeout_seconds)

    def stream(self, path: str, last_id: str = "") -> HTTPResponse:
        """Open a stream of events, after the event `last_id`. Reading it raises OSError and HTTPException."""
        request = self._build("GET", path)
        request.add_header("Accept", "text/event-stream")
        if last_id:
            request.add_header("Last-Event-ID", last_id)
        return self._open(request, STREAM_TIMEOUT_SECONDS)

    def _build(self, method: str, path: str, query: Query = (), body: Any = None) -> Request:
        asked = urlencode([(name, value) for name, value in query if value is not None])
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}{path}{'?' if asked else ''}{asked}", data, method=method)  # noqa: S310 - checked
        request.add_header("User-Agent", "errand")
        request.add_header("Accept", "application/json")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        if self._key:
            request.add_header("Authorization", f"Bearer {self._key}")
        return request

    def _exchange(self, request: Request, timeout_seconds: float) -> ServiceAnswer:
        with self._open(request, timeout_seconds) as answer:
            try:
                text = answer.read()
            except (OSError, HTTPException) as error:
                raise AwayError(f"{self.url} broke off its answer ({error or type(error).__name__})") from None
            try:
                return ServiceAnswer(answer.status, answer.headers, json.loads(text) if text else None)
            except ValueError:
                raise AwayError(f"what answers at {self.url} is not Errand; is ERRAND_URL right?", final=True) from None

    def _open(self, request: Request, timeout_seconds: float) -> HTTPResponse:
        try:
            answer: HTTPResponse = self._opener.open(request, timeout=timeout_seconds)
            return answer
        except HTTPError as error:
            with error:
                self._refuse(error)
        except (OSError, HTTPException, UnicodeError) as error:
            raise self._build_away_error(error) from None

    def _refuse(self, error: HTTPError) -> NoReturn:
        problem = _read_problem(error)
        if 400 <= error.code < 500:
            raise RequestRefusedError(error.code, problem, bool(self._key))
        if 300 <= error.code < 400:
            target = error.headers.get("Location", "elsewhere")
            raise AwayError(f"{self.url} redirects to {target}; set ERRAND_URL to where the service is", True, False)
        detail = str(problem.get("detail") or error.reason)
        raise AwayError(f"{self.url} answered {error.code}: {detail}", arrived=_may_have_stored(problem))

    def _build_away_error(self, error: Exception) -> AwayError:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            text = f"{self.url} has a certificate that can't be verified ({reason.verify_message})"
            return AwayError(f"{text}; where its authority is your own, set SSL_CERT_FILE to its file", True, False)
        if isinstance(reason, TimeoutError):
            return AwayError(f"no answer from {self.url} in time; try again, or set ERRAND_URL")
        said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        arrived = not isinstance(reason, ConnectionRefusedError | gaierror)
        hint = "start it (`errand up`) or set ERRAND_URL" if self._is_local else "is ERRAND_URL right?"
        return AwayError(f"no service at {self.url} ({said}); {hint}", arrived=arrived)


class _NoRedirect(HTTPRedirectHandler):
    """Follows no redirect: it would turn a POST into a GET and send the key to another host."""

    def redirect_request(self, *_: Any) -> None:
        """Return None, which makes the redirect an error."""


def _build_opener(settings: ClientSettings) -> OpenerDirector:
    # A proxy that the environment names is not asked for this machine's own addresses.
    return build_opener(_NoRedirect, *([ProxyHandler({})] if settings.is_local else []))


def _may_have_stored(problem: dict[str, Any]) -> bool:
    """Return whether a request that ended with this problem may have changed something."""
    name = str(problem.get("type", "")).rpartition(":")[2]
    return not any(refusal.name == name and refusal.is_whole for refusal in REFUSALS.values())


def _read_problem(error: HTTPError) -> dict[str, Any]:
    """Return an answer's RFC 9457 problem, {} where it holds none."""
    try:
        found = json.loads(error.read()) if "json" in error.headers.get("Content-Type", "") else {}
    except (OSError, HTTPException, ValueError):  # the status has to suffice
        return {}
    return found if isinstance(found, dict) else {}


def job_path(id: str, rest: str = "") -> str:
    """Return the path of a job."""
    return f"/v1/jobs/{quote(id, safe='')}{rest}"


def batch_path(id: str, rest: str = "") -> str:
    """Return the path of a batch."""
    return f"/v1/batches/{quote(id, safe='')}{rest}"
