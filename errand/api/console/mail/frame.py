"""A mail's html as the page of a frame: nothing runs there, and nothing is loaded from elsewhere."""

import re
from base64 import b64encode
from email.message import Message
from html import unescape
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

from errand.api.console.mail.fields import decode
from errand.api.console.mail.parts import is_body, list_parts, read_bytes, read_text

HTML_LIMIT = 2_000_000  # characters; a mail program shows less
IMAGES_BYTES = 8 * 2**20  # of one mail, put into its page
HEADERS = {
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data: cid:; frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-DNS-Prefetch-Control": "off",
}
_IMAGE_TYPE = re.compile(r"image/[a-z0-9.+-]{1,40}")
_IMAGE = re.compile(r"""\bcid:([^\s"'()<>]{1,300})""", re.I)
LINKS_LIMIT = 50  # shown beside a mail
_HREF = re.compile(r"""<a\s[^<>]{0,999}?\bhref\s*=\s*(?:"([^"]{1,2000})"|'([^']{1,2000})'|([^\s"'<>]{1,2000}))""", re.I)
_URL = re.compile(r"""https?://[^\s<>"')\]]{1,2000}""")
# Browsers connect to the servers of these whatever the policy says, so that they would see who reads the mail.
_CONNECTING = re.compile(r"<(?=(?:link|i?frame)[\s/>])", re.I)


def build_frame(path: Path) -> str:
    """Return a mail's html with the images that it brings, "" where it has none. Raises OSError."""
    parts = list_parts(path.read_bytes())
    html = next((read_text(part)[:HTML_LIMIT] for part in parts if is_body(part, "text/html")), "")
    images = _collect_images(parts)
    html = _IMAGE.sub(lambda found: images.get(unquote(found[1]), found[0]), html)
    return _CONNECTING.sub("<x-", html)


def find_links(html: str, text: str) -> tuple[str, ...]:
    """Return where a mail's links lead, each once: those of its html, or of its text where it has none."""
    found = (unescape("".join(match.groups(""))).strip() for match in _HREF.finditer(html[:HTML_LIMIT]))
    urls = (url for url in (found if html else _URL.findall(text)) if _URL.fullmatch(url))
    return tuple(islice(dict.fromkeys(urls), LINKS_LIMIT))


def _collect_images(parts: list[Message]) -> dict[str, str]:
    """Return the images as URLs that hold them, by their Content-ID."""
    images, size = {}, 0
    for part in parts:
        name, media_type = decode(part["Content-ID"] or "").strip("<>"), part.get_content_type()
        if name and _IMAGE_TYPE.fullmatch(media_type):
            content = read_bytes(part)
            size += len(content)
            if size <= IMAGES_BYTES:
                images[name] = f"data:{media_type};base64,{b64encode(content).decode()}"
    return images
