"""`errand send`."""

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cli.conftest import Errand, Quick
from tests.cli.scripted import ID, make_job
from tests.support.receivers import Reply, ScriptedService, make_problem
from tests.support.services import Services

OTHER = ID.replace("b", "a")


def test_what_is_asked_beside_the_payload_becomes_the_query(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("POST /v1/jobs/log", Reply(make_job(), 202))
    options = (
        "--after A --after B --on-failure run --delay 5m --expires 2h --tag x --tag y --front --webhook https://h/ "
        "--timeout-seconds 9 --tries 2 --unique-key u --replace"
    )
    found = quick("send", "log", '{"text": "Hi"}', *options.split(), "--concurrency-key", "k", "--concurrency", "2")
    assert found.exit_code == 0, found.output
    (asked,) = scripted.received
    assert asked.json == {"text": "Hi"}
    assert parse_qs(urlsplit(asked.path).query) == {
        "after": ["A", "B"],
        "on_failure": ["run"],
        "delay_seconds": ["300"],
        "expires_in_seconds": ["7200"],
        "tag": ["x", "y"],
        "at_front": ["true"],
        "timeout_seconds": ["9"],
        "tries": ["2"],
        "unique_key": ["u"],
        "unique": ["replace"],
        "webhook": ["https://h/"],
        "concurrency_key": ["k"],
        "concurrency": ["2"],
    }


def test_nothing_is_asked_that_was_not_given(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("POST /v1/jobs/log", Reply(make_job(), 202))
    assert quick("send", "log").stdout == f"{ID}  queued\n"
    assert (scripted.received[0].path, scripted.received[0].json) == ("/v1/jobs/log", {})


def test_a_time_is_sent_with_its_offset(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("POST /v1/jobs/log", Reply(make_job("scheduled"), 202))
    quick("send", "log", "--at", "2026-12-24T18:00:00+01:00")
    query = parse_qs(urlsplit(scripted.received[0].path).query)
    assert query == {"run_at": ["2026-12-24T18:00:00.000000+01:00"]}


def test_a_request_that_was_stored_before_is_told(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("POST /v1/jobs/log", Reply(make_job(), 202, {"Idempotency-Replayed": "true"}))
    found = quick("send", "log", "--key", "order-7")
    assert found.stdout == f"{ID}  queued, and was before: the same Idempotency-Key\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--at", "2026-12-24T18:00", "--delay", "1"], "give --at or --delay, not both"),
        (["--quiet", "--json"], "--quiet goes with neither --wait nor --json"),
        (["--batch"], "--batch wants the payloads"),
        (["{"], "the payload is not JSON"),
    ],
)
def test_what_can_not_be_meant_is_wrong_usage_and_nothing_is_sent(
    quick: Quick, scripted: ScriptedService, words: list[str], said: str
) -> None:
    found = quick("send", "log", *words)
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr.startswith(f"errand: {said}")
    assert not scripted.received


def test_an_unknown_option_is_wrong_usage(quick: Quick) -> None:
    assert quick("send", "log", "--nope").exit_code == 2
    assert quick("send").exit_code == 2
    assert quick("send", "log", "--on-failure", "ignore").exit_code == 2


def test_a_waited_for_job_is_one_line_of_json(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("POST /v1/jobs/log", Reply(make_job(), 202))
    scripted.reply(f"GET /v1/jobs/{ID}", Reply(make_job("failed")))
    found = quick("send", "log", "--wait", "--json")
    assert found.exit_code == 1
    assert json.loads(found.stdout)["status"] == "failed"


def build_parts(*totals: int) -> list[Reply]:
    return [Reply({"id": f"batch-{total}", "type": "log", "total": total, "jobs": []}, 202) for total in totals]


LINES = "\n".join(json.dumps({"text": str(number)}) for number in range(2_001))


def test_many_are_sent_a_thousand_a_request_each_under_a_key_of_its_own(
    quick: Quick, scripted: ScriptedService
) -> None:
    scripted.reply("POST /v1/batches/log", *build_parts(1_000, 1_000, 1))
    found = quick("send", "log", "--batch", "-", "--key", "mine", input=LINES)
    assert found.exit_code == 0, found.output
    assert [line.partition("  ")[2] for line in found.stdout.splitlines()] == [
        "1,000 log jobs stored (1,000 of 2,001)",
        "1,000 log jobs stored (2,000 of 2,001)",
        "1 log jobs stored (2,001 of 2,001)",
    ]
    assert [one.headers["Idempotency-Key"] for one in scripted.received] == ["mine-1", "mine-2", "mine-3"]
    assert [item["text"] for one in scripted.received for item in one.json["items"]] == [str(n) for n in range(2_001)]


def test_a_failure_midway_says_how_many_are_stored_and_how_to_go_on(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("POST /v1/batches/log", *build_parts(1_000), Reply(make_problem(500, "internal", "no"), 500))
    found = quick("send", "log", "--batch", "-", input=LINES)
    key = scripted.received[0].headers["Idempotency-Key"].removesuffix("-1")
    assert found.exit_code == 4
    assert found.stderr.splitlines()[-1] == (
        f"at least 1,000 of 2,001 are stored; send all of them again with --key {key}, and none is stored twice"
    )


def test_what_is_wrong_in_a_later_part_is_named_by_its_number_among_all(
    quick: Quick, scripted: ScriptedService
) -> None:
    problem = make_problem(422, "invalid-body", "one thing is wrong; see errors")
    problem["errors"] = [{"pointer": "#/items/7/text", "detail": "Field required"}]
    scripted.reply("POST /v1/batches/log", *build_parts(1_000), Reply(problem, 422))
    found = quick("send", "log", "--batch", "-", input=LINES)
    assert found.exit_code == 3
    assert "items/1007/text  Field required" in found.stderr
    assert "1,000 of 2,001 are stored" in found.stderr


@pytest.mark.quick
def test_a_chain_is_sent_waited_for_and_read(errand: Errand, services: Services) -> None:
    first = errand("send", "sleep", "-f", "seconds:=0.3", "--tag", "chain", "--quiet")
    assert (first.code, first.err) == (0, "")
    assert re.fullmatch(r"[0-9a-f-]{36}\n", first.out)
    second = errand("send", "echo", '{"value": "ä"}', "--after", first.out.strip(), "--wait", "--json")
    assert (second.code, second.err) == (0, "")
    job = json.loads(second.out)
    assert (job["status"], job["depends_on"], job["result"]) == ("finished", [first.out.strip()], "ä")
    assert services.read(first.out.strip())["tags"] == ["chain"]


def test_one_key_stores_one_job(errand: Errand) -> None:
    sent = [errand("send", "echo", "-f", "value=a", "--key", "order-7", "--json") for _ in range(2)]
    assert len({json.loads(one.out)["id"] for one in sent}) == 1
    other = errand("send", "echo", "-f", "value=b", "--key", "order-7")
    assert (other.code, other.out) == (3, "")
    assert other.err.startswith("errand: Another request was sent under this Idempotency-Key")


def test_faults_from_the_real_service_are_told_with_their_fields(errand: Errand) -> None:
    found = errand("send", "email", "-f", "to=ada", "-f", "urgent:=true", "--delay", "9999d")
    assert found.code == 3
    assert "--delay" in found.err
    found = errand("send", "email", "-f", "to=ada", "-f", "urgent:=true")
    assert {"to/0", "subject", "urgent"} <= {line.split()[0] for line in found.err.splitlines()[1:]}
    assert errand("send", "nope").err.startswith("errand: There is no job type 'nope'; there are ")
