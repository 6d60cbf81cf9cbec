"""The wheel, and an example that was installed beside it into an environment of its own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from errand.local.valkey import EmbeddedValkey
from tests.conftest import build_environment
from tests.examples.release import Release
from tests.support.project import IGNORED, ROOT
from tests.support.sinks import ScriptedSink

SHOP = ROOT / "examples/shop"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built in a copy: setuptools leaves its own folders behind."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT / "errand", source / "errand", ignore=IGNORED)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(made))
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(source)], check=True)
    (built,) = made.glob("rq_errand-*.whl")
    return built


@pytest.fixture(scope="session")
def shop(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shop, and in `venv` what it asks for, in the versions that this tree was tested with."""
    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(SHOP, folder, dirs_exist_ok=True, ignore=IGNORED)
    pins = re.findall(r"^[a-z0-9][^\s]*==[^\s;]+(?: ; [^\\\n]+)?", (ROOT / "requirements-dev.txt").read_text(), re.M)
    (folder / "pins.txt").write_text("\n".join(pins))
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = (folder / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", "-c", "pins.txt")
    subprocess.run([*pip, wheel, "-e", ".[test]"], cwd=folder, check=True)
    return folder


@pytest.fixture
def release(shop: Path, valkey: EmbeddedValkey, redis: Redis, sink: ScriptedSink, tmp_path: Path) -> Iterator[Release]:
    """The shop, about to be started by the commands of its Procfile."""
    folder = tmp_path / "release"
    shutil.copytree(shop / "shop", folder / "shop", ignore=IGNORED)
    shutil.copy(shop / "Procfile", folder)
    settings = build_environment(valkey.url, sink, tmp_path)
    settings["PATH"] = f"{shop}/venv/bin:{os.environ['PATH']}"
    settings["SHOP_DATABASE"] = str(tmp_path / "shop.db")
    release = Release(folder, settings, tmp_path)
    yield release
    release.stop()
