"""What jobs log and print, by a real worker."""

from typing import Any

import pytest

from tests.services import Services


def read_lines(services: Services, id: str) -> list[dict[str, Any]]:
    answer = services.call("GET", f"/v1/jobs/{id}/logs")
    assert answer.status == 200, answer
    return list(answer.body["items"])


@pytest.mark.quick("talk")
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
