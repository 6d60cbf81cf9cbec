"""The Dockerfile, compose.yaml, the units of systemd and docs/deploy.md say the same as the Procfile."""

import configparser
import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml

from errand.worker.settings import WorkerSettings
from tests.support.project import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
PAGE = (ROOT / "docs" / "deploy.md").read_text()
UNITS = sorted((ROOT / "ops" / "systemd").glob("*.service"))
STOP_SECONDS = WorkerSettings.model_fields["grace_seconds"].default + 5


def read_procfile() -> dict[str, str]:
    lines = (line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    return {name: simplify(command) for name, command in lines}


def simplify(command: str) -> str:
    """Return a command without what differs by place: where it listens, and settings before it."""
    command = re.sub(r"--(host|port) \S+ ", "", command.removeprefix("sh -c ").strip("'").removeprefix("exec "))
    return " ".join(word for word in command.replace("/opt/errand/.venv/bin/", "").split() if "LOG_URL=" not in word)


def read_compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text()))


def list_instructions(dockerfile: str) -> list[str]:
    """Return its instructions, each on a line, without comments."""
    text = re.sub(r"\\\n\s*", "", dockerfile)
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def read_command(dockerfile: str) -> list[str]:
    (command,) = [line for line in list_instructions(dockerfile) if line.startswith("CMD ")]
    return list(json.loads(command.removeprefix("CMD ")))


def read_block(language: str) -> str:
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(block)


def read_unit(path: Path) -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(path)
    return parser["Service"]


def test_the_image_serves_as_the_procfile_does() -> None:
    shell, option, line = read_command(DOCKERFILE)
    assert (shell, option) == ("sh", "-c")
    assert line.startswith("exec "), "the shell would be process 1, and keep SIGTERM to itself"
    assert simplify(line) == read_procfile()["web"]


def test_compose_runs_the_procfiles_commands() -> None:
    services = read_compose()["services"]
    procfile = read_procfile()
    assert "command" not in services["web"]
    assert {name: shlex.join(services[name]["command"]) for name in ("worker", "release")} == {
        name: procfile[name] for name in ("worker", "release")
    }


def test_compose_publishes_on_this_machine_alone_and_keeps_each_write() -> None:
    services = read_compose()["services"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:8000:8000"]
    for option in ("appendonly yes", "appendfsync always", "maxmemory-policy noeviction"):
        assert f"--{option}" in services["valkey"]["command"]
    assert services["valkey"]["volumes"] == ["valkey:/data"]


def test_the_units_run_the_procfiles_commands() -> None:
    found = {re.split(r"[-@.]", path.name)[1]: simplify(read_unit(path)["ExecStart"]) for path in UNITS}
    assert found == read_procfile()


def test_fly_runs_the_procfiles_commands_and_asks_with_sigterm() -> None:
    fly = tomllib.loads(read_block("toml"))
    found = {name: simplify(command) for name, command in fly["processes"].items()}
    assert {**found, "release": fly["deploy"]["release_command"]} == read_procfile()
    assert (fly["kill_signal"], fly["kill_timeout"]) == ("SIGTERM", STOP_SECONDS)


def test_a_worker_has_its_grace_wherever_we_say_how_long() -> None:
    assert read_compose()["services"]["worker"]["stop_grace_period"] == f"{STOP_SECONDS:g}s"
    assert read_unit(ROOT / "ops" / "systemd" / "errand-worker@.service")["TimeoutStopSec"] == f"{STOP_SECONDS:g}"


def test_the_pages_dockerfile_is_ours_but_for_the_application() -> None:
    def list_common(dockerfile: str) -> list[str]:
        own = re.compile(r"COPY (?!--from|requirements)|CMD |RUN pip .* \.$")
        return [
            line for line in list_instructions(dockerfile.replace("/errand/livez", "/livez")) if not own.match(line)
        ]

    theirs = read_block("dockerfile")
    assert list_common(theirs) == list_common(DOCKERFILE)
    web = read_procfile()["web"].replace("--factory service.app:from_environment", "shop.main:app")
    assert simplify(read_command(theirs)[2]) == web


def test_what_the_image_copies_is_what_gets_to_its_build() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(" ".join(copied).split()) == sorted(kept)
    assert all((ROOT / name).exists() for name in kept)


@pytest.mark.skipif(not which("systemd-analyze"), reason="needs systemd-analyze (apt install systemd)")
def test_systemd_understands_the_units() -> None:
    command = ["systemd-analyze", "verify", "--man=no", *map(str, UNITS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert all("is not executable: No such file" in line for line in done.stderr.splitlines()), done.stderr
