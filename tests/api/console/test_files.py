"""The console's style sheet and scripts, and what a first look at it costs."""

import re
import subprocess
import sys

import pytest
from starlette.testclient import TestClient

from tests.support.project import ROOT

FIRST_PAGE_BYTES = 120_000


def list_files(client: TestClient) -> list[str]:
    return re.findall(r'(?:href|src)="(/console/static/[^"]+)"', client.get("/console").text)


def test_the_first_page_is_small_over_the_wire(client: TestClient) -> None:
    page = client.get("/console")
    answers = [client.get(path) for path in dict.fromkeys(list_files(client))]
    assert all(answer.headers["content-encoding"] == "gzip" for answer in (page, *answers))
    sizes = [int(answer.headers["content-length"]) for answer in (page, *answers)]
    assert len(sizes) == 9
    assert sum(sizes) < FIRST_PAGE_BYTES


def test_a_file_is_kept_for_ever_under_the_address_of_what_is_in_it(client: TestClient) -> None:
    path = next(path for path in list_files(client) if path.endswith("console.css"))
    assert client.get(path).headers["cache-control"] == "public, max-age=31536000, immutable"
    other = re.sub(r"/static/\w+/", "/static/000000000000/", path)
    assert client.get(other).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0"])
def test_a_client_without_gzip_has_files_and_pages_plain(client: TestClient, accepted: str) -> None:
    for path in ("/console", *list_files(client)):
        answer = client.get(path, headers={"Accept-Encoding": accepted})
        assert "content-encoding" not in answer.headers
        assert answer.content


@pytest.mark.parametrize("name", ["nothing.js", "vendor.toml", "..%2fmount.py", "icon.svg.gz"])
def test_nothing_but_the_console_s_files_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/console/static/000000000000/{name}").status_code == 404


def test_files_by_others_are_what_their_manifest_says() -> None:
    subprocess.run([sys.executable, ROOT / ".ci/vendor.py", "--check"], check=True)


def test_everything_is_let_in_from_here_alone(client: TestClient) -> None:
    for path in ("/console", "/console/nothing", *list_files(client)):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
