"""What jobs log and print, by a real worker."""

from typing import Any

import pytest
from redis import Redis

from tests.api.sse import Stream
from tests.support.services import Services
from tests.support.waiting import wait_until


def read_lines(services: Services, id: str) -> list[dict[str, Any]]:
    answer = services.call("GET", f"/v1/jobs/{id}/logs")
    assert answer.status == 200, answer
    return list(answer.body["items"])


@pytest.mark.parametrize("type", ["talk", "talk_async", "talk_alone"])
def test_what_a_job_logs_and_prints_can_be_read_once_it_has_ended(services: Services, type: str) -> None:
    services.start_api()
    worker = services.start_worker()
    ids = [services.post(type, {"name": name}) for name in ("Ada", "Bob", "Cem")]
    for id, name in zip(ids, ("Ada", "Bob", "Cem"), strict=True):
        assert services.wait_for(id)["status"] == "finished"
        lines = read_lines(services, id)
        assert [(line["level"], line["logger"], line["text"].partition("\n")[0]) for line in lines] == [
            ("INFO", "app.talk", f"{name} begins"),
            ("print", "stdout", f"{name} prints a line"),
            ("print", "stderr", f"{name} complains"),
            ("ERROR", "app.talk", f"{name} fell"),
            ("print", "stdout", f"{name} ends"),
        ]
        assert lines[3]["text"].endswith(f"\nValueError: {name} stumbles")
        assert [line["number"] for line in lines] == [1, 2, 3, 4, 5]
        assert {line["attempt"] for line in lines} == {1}
        assert f"{type} {id}: {name} prints a line\n" in services.read_log(worker)
    assert "begins" not in services.read_log(worker)  # nobody asked for INFO there


@pytest.mark.quick
def test_each_line_is_sent_once_and_in_order_to_who_watches_also_after_a_break(services: Services) -> None:
    services.start_api()
    id = services.post("talk", {"name": "Ada", "fails": True})
    with Stream(services.base_url, f"/v1/jobs/{id}/events") as stream:
        worker = services.start_worker()
        events = list(stream)
    assert f"talk {id}: Ada prints a line\n" in services.read_log(worker)
    logged = [event for event in events if event.kind == "log"]
    assert [event.data for event in logged] == read_lines(services, id)
    assert [(event.data["number"], event.data["attempt"]) for event in logged] == [
        (number, 1 + (number > 5)) for number in range(1, 11)
    ]
    assert [event.kind for event in events if event.kind != "log"].count("end") == 1
    for last in (logged[2], logged[-1], events[-1]):
        with Stream(services.base_url, f"/v1/jobs/{id}/events", last.id) as stream:
            rest = list(stream)
        missed = [event.data for event in logged if last.kind == "log" and event.data["number"] > last.data["number"]]
        assert [event.data for event in rest if event.kind == "log"] == missed
        assert [event.kind for event in rest][-1:] == (["end"] if last.kind == "log" else [])


def test_lines_come_while_the_job_runs(services: Services) -> None:
    services.start_api()
    services.start_worker()
    for type in ("murmur", "murmur_alone"):
        id = services.post(type)
        with Stream(services.base_url, f"/v1/jobs/{id}/events") as stream:
            assert next(event.data["text"] for event in stream if event.kind == "log") == "hm"
            assert services.read(id)["status"] == "started"
        services.call("POST", f"/v1/jobs/{id}/cancel")


@pytest.mark.valkey
def test_a_full_server_gets_no_lines_and_the_jobs_end_well(services: Services, redis: Redis) -> None:
    services.start_api()
    id = services.post("talk", {"name": "Ada", "count": 3})
    redis.config_set("maxmemory", 1)
    try:
        worker = services.start_worker()
        job = wait_until(lambda: redis.hget(f"rq:job:{id}", "status") == b"finished")
    finally:
        redis.config_set("maxmemory", 0)
    assert job
    assert read_lines(services, id) == []
    assert f"talk {id}: Ada 2\n" in services.read_log(worker)
    assert "can't be written down" not in services.read_log(worker)
