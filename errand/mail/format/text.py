"""Writing the text of an HTML body, for readers without HTML."""

import re
from functools import partial
from html import unescape

_HIDDEN = {"head", "script", "style", "template", "noscript", "svg", "object"}
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_LINES = {"address", "caption", "dd", "div", "dt", "footer", "form", "header", "li", "nav", "section", "tr"}
_PARAGRAPHS = {
    "article",
    "blockquote",
    "dl",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ol",
    "p",
    "pre",
    "table",
    "ul",
}
_KEPT_LINK = re.compile(r"(?i)(https?|mailto|tel):")
_INVISIBLE = re.compile(r"(?i)display\s*:\s*none")
_RAW = {"script", "style", "title", "textarea"}  # in these a < begins no tag
# Every repetition is bounded and never backtracks, so broken HTML takes no longer than sound HTML. Python's html.parser
# took 97 seconds for 50 kB of «<a ».
_TAG = re.compile(
    r"""<!--|<(?P<slash>/?)(?P<tag>[a-zA-Z][a-zA-Z0-9:-]{0,40}+)"""
    r"""(?P<rest>(?:[^<>"']{1,2000}+|"[^"]{0,2000}+"|'[^']{0,2000}+'){0,100}+)>|<[!?/][^<>]{0,1000}+>"""
)
_ATTRIBUTE = re.compile(r"""(?i)(?<![\w-])(href|alt|style)\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
LIMIT = 1024 * 1024  # characters of HTML that are read: more is no text that anybody reads


def write_text_of(html: str) -> str:
    """Return an HTML body as plain text: lines, paragraphs, lists and where links lead; '' where there is none."""
    html, writer, at = html[:LIMIT], _Writer(), 0
    while found := _TAG.search(html, at):
        writer.data(html[at : found.start()])
        at = found.end()
        if found[0] == "<!--":
            at = _find_end(html, "-->", at)
        elif found["tag"]:
            tag = found["tag"].lower()
            (writer.end if found["slash"] else partial(writer.start, attributes=found["rest"]))(tag)
            if tag in _RAW and not found["slash"]:
                writer.end(tag)
                at = _find_end(html, f"</{tag}[^<>]{{0,100}}>", at)
    writer.data(html[at:])
    return writer.read()


def _find_end(html: str, pattern: str, at: int) -> int:
    """Return the end of something in which no tags are read; what is never closed goes on to the last character."""
    found = re.compile(pattern, re.I).search(html, at)
    return found.end() if found else len(html)


def _read_attributes(text: str) -> dict[str, str]:
    """Return href, alt and style, as far as a tag has them."""
    return {name.lower(): unescape(one or two or bare) for name, one, two, bare in _ATTRIBUTE.findall(text)}


class _Writer:
    """Takes tags and the text between them, and keeps what a reader sees."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._breaks = 0  # line ends that come before the next piece
        self._has_space = False
        self._hidden: list[str] = []
        self._links: list[tuple[str, int]] = []

    def read(self) -> str:
        """Return what has been written."""
        return "".join([*self._pieces, "\n"]) if self._pieces else ""

    def start(self, tag: str, attributes: str) -> None:
        """Take the beginning of an element."""
        given = _read_attributes(attributes)
        if tag == "body":
            self._hidden.clear()
        elif self._hidden or tag in _HIDDEN or _INVISIBLE.search(given.get("style", "")):
            if tag not in _VOID:
                self._hidden.append(tag)
        else:
            self._break(tag)
            self._begin(tag, given)

    def end(self, tag: str) -> None:
        """Take the end of an element, and of those left open inside it."""
        if self._hidden:
            if tag in self._hidden:
                while self._hidden.pop() != tag:
                    pass
            return
        if tag == "a" and self._links:
            self._end_link(*self._links.pop())
        if tag != "br":
            self._break(tag)

    def data(self, text: str) -> None:
        """Take what is between two tags."""
        if self._hidden or not text:
            return
        words = unescape(text).split()
        self._has_space = self._has_space or text[0].isspace()
        if words:
            self._write(" ".join(words))
            self._has_space = text[-1].isspace()

    def _begin(self, tag: str, given: dict[str, str]) -> None:
        if tag == "a":
            self._links.append((given.get("href", "").strip(), len(self._pieces)))
        elif tag == "img" and given.get("alt", "").strip():
            self._has_space = True
            self._write(" ".join(given["alt"].split()))
            self._has_space = True
        elif tag == "li":
            self._write("-")
            self._has_space = True
        elif tag == "hr":
            self._breaks = max(self._breaks, 2)
            self._write("-" * 20)
            self._breaks = 2
        elif tag in ("td", "th"):
            self._has_space = True

    def _break(self, tag: str) -> None:
        if tag == "br":
            self._breaks += 1
        elif tag in _PARAGRAPHS:
            self._breaks = max(self._breaks, 2)
        elif tag in _LINES:
            self._breaks = max(self._breaks, 1)

    def _end_link(self, url: str, since: int) -> None:
        shown = "".join(self._pieces[since:]).strip()
        if _KEPT_LINK.match(url) and url.partition(":")[2].strip("/") not in (
            shown,
            shown.partition(":")[2].strip("/"),
        ):
            self._has_space = bool(shown)
            self._write(f"({url})" if shown else url)

    def _write(self, text: str) -> None:
        if self._breaks and self._pieces:
            self._pieces.append("\n" * min(self._breaks, 2))
        elif self._has_space and self._pieces:
            self._pieces.append(" ")
        self._breaks, self._has_space = 0, False
        self._pieces.append(text)
