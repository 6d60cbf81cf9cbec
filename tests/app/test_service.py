"""A service of your own, made of an Errand."""

import os
import subprocess
import sys

import pytest

from errand.local.valkey import EmbeddedValkey
from tests.support.project import ROOT
from tests.support.services import pass_coverage

PROGRAM = """
import sys
from fastapi.testclient import TestClient
from errand import Errand
from errand.fastapi import Service

errand = Errand("tests.app.shop.jobs", builtin=["log"], redis_url=sys.argv[1])
with TestClient(Service(errand).from_environment(), base_url="http://localhost") as client:
    posted = [client.post("/v1/jobs/welcome", json={"email": "ada"}), client.post("/v1/jobs/log", json={"text": "x"})]
    print([answer.status_code for answer in posted], client.get("/dashboard/").status_code)
"""


@pytest.mark.thorough
def test_it_serves_the_jobs_of_its_errand_from_the_errands_own_server(valkey: EmbeddedValkey) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "ERRAND_LOCAL": "1", **pass_coverage()}
    command = [sys.executable, "-c", PROGRAM, valkey.url]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[202, 202] 200\n", done.stderr
