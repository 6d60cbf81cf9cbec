"""The console's style sheet, scripts and icon, at addresses that change with what is in them."""

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from errand.api.http.problems import Problem

FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FIRST_STYLES = ("base.css", "parts.css")  # before those of the pages, which win
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"  # for an address of another version, during a deploy


@dataclass(frozen=True)
class StaticFile:
    """A file as it is sent: its media type, a digest, and what is in it, with gzip and without."""

    media_type: str
    digest: str
    packed: bytes
    plain: bytes


@cache
def load_files() -> dict[str, StaticFile]:
    """Return the files by name, read once. Those of vendor/ are kept packed."""
    files = {"console.css": _pack("text/css", load_styles())}
    for path in sorted([*FOLDER.glob("*"), *FOLDER.glob("vendor/*")]):
        is_packed = path.suffix == ".gz"
        name = path.stem if is_packed else path.name
        media_type = MEDIA_TYPES.get(Path(name).suffix)
        if media_type:
            plain = gzip.decompress(path.read_bytes()) if is_packed else path.read_bytes()
            files[name] = _pack(media_type, plain, path.read_bytes() if is_packed else None)
    return files


def load_styles() -> bytes:
    """Return the one style sheet, which is kept as a file a page."""
    paths = sorted(FOLDER.glob("styles/*.css"), key=lambda path: (path.name not in FIRST_STYLES, path.name))
    return b"\n".join(path.read_bytes() for path in paths)


def _pack(media_type: str, plain: bytes, packed: bytes | None = None) -> StaticFile:
    return StaticFile(media_type, sha256(plain).hexdigest()[:12], packed or gzip.compress(plain, 9, mtime=0), plain)


async def send_file(request: Request) -> Response:
    """Return a file. Raises Problem 404."""
    digest, name = request.path_params["digest"], request.path_params["name"]
    file = load_files().get(name)
    if file is None:
        raise Problem(404, "no-such-file", f"The console has no file {name[:64]!r}")
    headers = {"Cache-Control": FOR_EVER if digest == file.digest else ASK_AGAIN, "Vary": "Accept-Encoding"}
    if takes_gzip(request):
        return Response(file.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.media_type)
    return Response(file.plain, headers=headers, media_type=file.media_type)


def takes_gzip(request: Request) -> bool:
    """Return whether the client can unpack gzip (RFC 9110, section 12.5.3)."""
    for entry in request.headers.get("Accept-Encoding", "").lower().split(","):
        coding, _, weight = entry.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
