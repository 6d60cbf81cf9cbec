"""The plain text made from an HTML body."""

import time

import pytest

from errand.mail.format.text import write_text_of


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hi &amp; <b>bye</b></p><p>Two</p>", "Hi & bye\n\nTwo\n"),
        ("one<br>two<br/>three", "one\ntwo\nthree\n"),
        ("<ul><li>one</li><li>two</li></ul>", "- one\n- two\n"),
        ("<table><tr><td>Tea</td><td>3 €</td></tr><tr><td>Sum</td><td>3 €</td></tr></table>", "Tea 3 €\nSum 3 €\n"),
        ('<a href="https://a.example/x?a=1&amp;b=2">here</a>.', "here (https://a.example/x?a=1&b=2).\n"),
        ('<a href="https://a.example/">https://a.example</a>', "https://a.example\n"),
        ('<a href="mailto:a@b.example">a@b.example</a> <a href="#top">Top</a>', "a@b.example Top\n"),
        ('<a href="https://a.example"><img src="x.png" alt="Acme"></a>', "Acme (https://a.example)\n"),
        ("<head><title>T</title><style>p>a{}</style></head><script>if (a<b) x()</script><p>x", "x\n"),
        ('<div style="display: none">preview <p>text</div>shown', "shown\n"),
        ("a<!-- not <b> this -->b  \n c", "ab c\n"),
        ("1 < 2 && 3 > 2", "1 < 2 && 3 > 2\n"),
        ("<p title='a > b'>x</p>", "x\n"),
        ("", ""),
    ],
)
def test_html_is_read_as_text(html: str, text: str) -> None:
    assert write_text_of(html) == text


@pytest.mark.parametrize("piece", ["<", "<!--", "<a ", "<![", "</", "<a href='", "<style>", "<p>", '<a "'])
def test_broken_html_is_read_in_the_time_of_sound_html(piece: str) -> None:
    begun = time.thread_time()
    write_text_of(piece * 20_000)
    assert time.thread_time() - begun < 5  # Python's html.parser takes minutes for some of these
