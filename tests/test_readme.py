"""What the README shows works as written."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.curl import provide_curl
from tests.support.project import OWN, ROOT
from tests.support.services import Services

README = (ROOT / "README.md").read_text()
FILES = re.findall(r"```python\n# ((?:jobs|tests)/\S+)\n(.*?)```", README, re.DOTALL)
CURLS = [line.removeprefix("$ ") for line in README.splitlines() if line.startswith("$ curl")]
SETTINGS = re.findall(r"`([A-Z][A-Z_]+)`", README.partition("## Settings")[2].partition("\n## ")[0])


@pytest.fixture
def with_its_job(services: Services, tmp_path: Path) -> Services:
    """The project with the README's job file and its test added."""
    shutil.copytree(services.project, tmp_path / "project")
    services.project = tmp_path / "project"
    for name, content in FILES:
        path = services.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return services


def test_the_jobs_own_test_passes_without_redis(with_its_job: Services) -> None:
    test = next(name for name, _ in FILES if name.startswith("tests/"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, cwd=with_its_job.project, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("options", [["check"], ["format", "--check"]], ids=" ".join)
@pytest.mark.parametrize(("name", "content"), FILES)
def test_its_files_pass_make_check_as_they_stand(name: str, content: str, options: list[str]) -> None:
    command = [sys.executable, "-m", "ruff", *options, "--no-cache", "--stdin-filename", name, "-"]
    done = subprocess.run(command, cwd=ROOT, input=content, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_curl_line_does_what_is_shown(with_its_job: Services, tmp_path: Path) -> None:
    environment = provide_curl(tmp_path)
    url = with_its_job.start_api()
    with_its_job.start_worker()
    id = ""
    for line in CURLS:
        line = re.sub(r"/v1/jobs/[0-9a-f-]{36}", f"/v1/jobs/{id}", line.replace("http://127.0.0.1:8000", url))
        done = subprocess.run(["sh", "-c", f"{line} -s"], env=environment, capture_output=True, text=True, check=True)
        found = re.search(r'"id":"([^"]+)"', done.stdout)
        id = found[1] if found else id
        assert ("invalid-body" in done.stdout) == ('"urgent"' in line), (line, done.stdout)
        expected = ('"status":"', '"message":', "invalid-body", '"requeued":')
        assert any(part in done.stdout for part in expected), done.stdout
    assert with_its_job.wait_for(id)["result"] == "Hello, Ada!"


def test_every_setting_is_in_the_table() -> None:
    own = [path for path in ROOT.glob("jobs/*.py") if path.stem in (*OWN, "_database")]
    sources = [*ROOT.glob("errand/**/*.py"), *own]
    named = {name for path in sources for name in re.findall(r'alias="([A-Z_]+)"', path.read_text())}
    assert named - {"ERRAND_LOCAL", "ERRAND_MAIL_FOLDER"} <= set(SETTINGS)


def test_every_link_leads_to_a_file() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
