"""The shop, with its own database for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from errand.testing.jobs import JobsUnderTest
from shop.main import app


@pytest.fixture
def client(errand_jobs: JobsUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("SHOP_DATABASE", str(tmp_path / "shop.db"))
    monkeypatch.setenv("ERRAND_LOCAL", "1")
    with TestClient(app, base_url="http://localhost") as client:
        yield client
