"""Mail in the console, in a real browser: what a mail's html may do there, which is nothing."""

import socketserver
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from errand.api.settings import ApiSettings
from errand.store.settings import QueueSettings
from tests.browser.conftest import collect_complaints
from tests.support.api_server import serve
from tests.support.connectors import create_app
from tests.support.job_types import TYPES

pytestmark = pytest.mark.browser

HOSTILE = """<html><head><title>t</title><base href="{url}/">
<meta http-equiv="refresh" content="0; url={url}/refresh"><meta http-equiv="x-dns-prefetch-control" content="on">
<link rel="stylesheet" href="{url}/style.css"><link rel="preconnect" href="{url}"><link rel="prefetch" href="{url}/p">
<link rel="prerender" href="{url}/pre"><link rel="icon" href="{url}/icon"><link rel="manifest" href="{url}/manifest">
<style>@import url("{url}/import.css"); @font-face {{ font-family: f; src: url("{url}/font") }}
body {{ background: url("{url}/background"); font-family: f }}</style>
<script>document.getElementById("mark").textContent = "ran"</script><script src="{url}/script.js"></script></head>
<body onload="document.getElementById('mark').textContent = 'ran'"><p id="mark">untouched</p>
<img src="{url}/image"><img src="x" onerror="document.getElementById('mark').textContent = 'ran'">
<img srcset="{url}/srcset 1x"><picture><source srcset="{url}/source"></picture>
<video src="{url}/video" poster="{url}/v"></video><audio src="{url}/audio" autoplay></audio>
<iframe src="{url}/frame"></iframe><embed src="{url}/embed"><object data="{url}/object"></object>
<svg><image href="{url}/svg"/><use href="{url}/use#a"/></svg>
<iframe srcdoc="<script>parent.document.title = 'ran'</script>"></iframe>
<p style="background: url('{url}/inline')">styled</p>
<a id="top" href="{url}/top" target="_top">top</a> <a id="blank" href="{url}/blank" target="_blank">blank</a>
<a id="plain" href="{url}/plain" ping="{url}/ping">plain</a>
<a id="script" href="javascript:document.body.textContent = 'ran'" target="_parent">script</a>
<form id="form" action="{url}/form" method="post" target="_top"><button id="send">send</button></form></body></html>"""


class Elsewhere(socketserver.ThreadingTCPServer):
    """A server that notes whether anybody connects to it."""

    was_reached = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)

    def verify_request(self, request: object, client_address: object) -> bool:
        """Refuse, and note it."""
        self.was_reached = True
        return False


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with Elsewhere() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def mail_page(browser: Browser, queue_settings: QueueSettings, tmp_path: Path) -> Iterator[Page]:
    """A tab over an application beside a folder of mail."""
    app = create_app(ApiSettings(ERRAND_LOCAL=True, ERRAND_MAIL_FOLDER=f"{tmp_path}"), queue_settings, TYPES)
    with serve(app, "h11") as (host, port):
        context = browser.new_context(base_url=f"http://{host}:{port}", viewport={"width": 1280, "height": 900})
        yield context.new_page()
        context.close()


def keep(folder: Path, subject: str, html: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", subject
    message.set_content("text")
    message.add_alternative(html, subtype="html")
    (folder / "1790000000000000000.eml").write_bytes(message.as_bytes())


def test_nothing_of_a_hostile_mail_runs_or_loads(mail_page: Page, tmp_path: Path, elsewhere: Elsewhere) -> None:
    url = f"http://localhost:{elsewhere.server_address[1]}"
    keep(tmp_path, "Hostile", HOSTILE.format(url=url))
    mail_page.goto("/console/mail")
    mail_page.get_by_role("link", name="Hostile").click()
    answered: list[str] = []
    mail_page.context.on("response", lambda answer: answered.append(urlsplit(answer.url).netloc))
    here = urlsplit(mail_page.url).netloc
    frame = mail_page.frame_locator('iframe[title="The mail\'s HTML"]')
    expect(frame.locator("#mark")).to_have_text("untouched")
    for id in ("script", "top", "blank", "send"):
        frame.locator(f"#{id}").click(no_wait_after=True)
        expect(mail_page.locator("h1")).to_have_text("Hostile")
    alone = mail_page.context.new_page()  # outside of the frame
    alone.goto(f"{mail_page.url}/frame")
    expect(alone.locator("#mark")).to_have_text("untouched")
    alone.close()
    assert not elsewhere.was_reached
    frame.locator("#plain").click(no_wait_after=True)  # a connection comes of that, and nothing over it
    expect(mail_page.locator("h1")).to_have_text("Hostile")
    assert len(mail_page.context.pages) == 1
    assert set(answered) == {here}


def test_a_mail_is_looked_at_in_two_widths(mail_page: Page, tmp_path: Path) -> None:
    with collect_complaints(mail_page):
        mail_page.goto("/console/mail")
        expect(mail_page.locator("#connection")).to_have_text("Live")
        keep(tmp_path, "Just come", "<p style='color: red'>Hello</p>")
        mail_page.get_by_role("link", name="Just come").click()
        width = "frame => frame.clientWidth"
        assert mail_page.locator("iframe").evaluate(width) == 600
        mail_page.get_by_label("320 px").check()
        assert mail_page.locator("iframe").evaluate(width) == 320
        expect(mail_page.frame_locator("iframe").locator("p")).to_have_css("color", "rgb(255, 0, 0)")
