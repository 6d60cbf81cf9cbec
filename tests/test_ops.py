"""ops/: the alerts, the dashboard and the scrape configuration fit what /metrics shows."""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from errand.api.http.auth import make_key
from errand.api.prometheus_text import render
from errand.local.valkey import find_free_port
from errand.store.observe.metrics import Figures
from errand.store.queues import QueueStatus
from tests.support.project import ROOT
from tests.support.services import Services
from tests.support.waiting import wait_until

OPS = ROOT / "ops"
NOTHING = Figures(0.0, {}, [QueueStatus("log", False, None, {"queued": 0}, [])], {}, 0, {}, {}, {}, 0.0, 0.5)


def list_metrics() -> set[str]:
    text, _ = render(NOTHING, ["log"], "")
    return set(re.findall(r"^(errand_\w+)", text.decode(), re.M))


def list_rules() -> list[dict[str, Any]]:
    return list(yaml.safe_load((OPS / "alerts.yml").read_text())["groups"][0]["rules"])


@pytest.mark.parametrize("name", ["alerts.yml", "alerts_test.yml", "grafana.json"])
def test_only_metrics_that_there_are_are_used(name: str) -> None:
    used = set(re.findall(r"\berrand_(?!key)\w+", (OPS / name).read_text()))
    assert used - list_metrics() == set()


def test_the_dashboard_has_a_query_in_each_panel() -> None:
    panels = json.loads((OPS / "grafana.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 10
    assert all(target["expr"] for panel in panels for target in panel["targets"])


def test_each_alert_is_tested_with_series_that_fire_it_and_that_do_not() -> None:
    tests = yaml.safe_load((OPS / "alerts_test.yml").read_text())["tests"]
    cases = [case for one in tests for case in one["alert_rule_test"]]
    for fires in (True, False):
        assert {case["alertname"] for case in cases if bool(case["exp_alerts"]) == fires} == {
            rule["alert"] for rule in list_rules()
        }


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool (apt install prometheus)")
@pytest.mark.parametrize(
    "words",
    [("test", "rules", "alerts_test.yml"), ("check", "config", "--syntax-only", "prometheus.yml")],
    ids=["rules", "config"],
)
def test_promtool_agrees(words: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *words], cwd=OPS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("prometheus"), reason="needs Prometheus (apt install prometheus)")
def test_prometheus_scrapes_the_service(services: Services, tmp_path: Path) -> None:
    secret, entry = make_key("metrics")
    other_secret, other_entry = make_key("ops")
    url = services.start_api(API_KEYS=f"{entry},{other_entry}")
    services.start_worker()
    headers = {"Authorization": f"Bearer {other_secret}"}
    id = services.call("POST", "/v1/jobs/echo", {"value": 1}, headers).body["id"]
    wait_until(lambda: services.call("GET", f"/v1/jobs/{id}", headers=headers).body["status"] == "finished")

    prometheus = f"127.0.0.1:{find_free_port()}"
    config = configure(url.removeprefix("http://"), secret, tmp_path)
    data = f"--storage.tsdb.path={tmp_path}/tsdb"
    services.run("prometheus", f"--config.file={config}", data, f"--web.listen-address={prometheus}")

    def query(expression: str) -> list[str]:
        asked = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://{prometheus}/api/v1/query?{asked}", timeout=10) as answer:
            return [result["value"][1] for result in json.load(answer)["data"]["result"]]

    def find(expression: str) -> list[str]:
        try:
            return query(expression)
        except OSError:  # it is starting
            return []

    wait_until(lambda: find('errand_jobs_ended_total{type="echo",outcome="finished"}') == ["1"], 60)
    assert query('up{job="errand"}') == ["1"]
    assert query('errand_job_run_seconds_count{type="echo"}') == ["1"]
    assert query("sum(errand_workers)") == ["1"]
    assert query("errand_worker_threads_free") == ["16"]
    assert query("count(ALERTS) or vector(0)") == ["0"]


def configure(target: str, secret: str, folder: Path) -> Path:
    """Write the example's configuration with another target, which is asked each second."""
    config = yaml.safe_load((OPS / "prometheus.yml").read_text())
    (folder / "key").write_text(secret)
    shutil.copy(OPS / "alerts.yml", folder)
    (scrape,) = config["scrape_configs"]
    scrape["scheme"] = "http"
    scrape["authorization"]["credentials_file"] = str(folder / "key")
    scrape["static_configs"][0]["targets"] = [target]
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path
