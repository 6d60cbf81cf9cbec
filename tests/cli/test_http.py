"""Requests to a service: keys, prefixes, lost answers, and how each fault is shown."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from errand.local.valkey import find_free_port
from tests.cli.conftest import KEY, Quick, run_errand
from tests.cli.scripted import ID, make_job
from tests.conftest import ROOT
from tests.support.receivers import CERTIFICATE, Reply, ScriptedService, make_problem

GONE = Reply(status=None)


def test_the_key_goes_with_each_request(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET /v1/jobs/{ID}", Reply(make_job("finished")))
    quick("status", ID, ERRAND_KEY=KEY)
    quick("status", ID)
    assert [one.headers["Authorization"] for one in scripted.received] == [f"Bearer {KEY}", None]


def test_the_url_may_have_a_path_and_a_slash(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"GET /tools/errand/v1/jobs/{ID}", Reply(make_job()))
    assert quick("status", ID, "--json", ERRAND_URL=f"{scripted.url}/tools/errand/").exit_code == 0


def test_an_id_can_not_lead_elsewhere(quick: Quick, scripted: ScriptedService) -> None:
    assert quick("cancel", "../queues?x=1#").exit_code == 3
    assert scripted.received[0].path == "/v1/jobs/..%2Fqueues%3Fx%3D1%23/cancel"


@pytest.mark.parametrize("lost", [GONE, Reply("…", 502), Reply(make_problem(503, "redis-away", "Redis is away"), 503)])
def test_a_get_is_sent_again_after_a_lost_answer(quick: Quick, scripted: ScriptedService, lost: Reply) -> None:
    scripted.reply(f"GET /v1/jobs/{ID}", lost, lost, Reply(make_job("finished")))
    assert quick("status", ID).exit_code == 0
    assert len(scripted.received) == 3


def test_a_job_is_sent_again_under_the_same_key_after_a_lost_answer(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("POST /v1/jobs/log", GONE, Reply(make_job(), 202))
    assert quick("send", "log").exit_code == 0
    first, second = [one.headers["Idempotency-Key"] for one in scripted.received]
    assert first == second


def test_each_send_has_a_key_of_its_own(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("POST /v1/jobs/log", Reply(make_job(), 202))
    quick("send", "log")
    quick("send", "log")
    quick("send", "log", "--key", "order-7")
    first, second, third = [one.headers["Idempotency-Key"] for one in scripted.received]
    assert first != second
    assert third == "order-7"


def test_a_change_is_sent_once(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply(f"POST /v1/jobs/{ID}/cancel", GONE)
    found = quick("cancel", ID)
    assert found.exit_code == 4
    assert len(scripted.received) == 1


def test_a_job_that_may_have_been_stored_is_told_with_the_key_to_send_it_again(
    quick: Quick, scripted: ScriptedService
) -> None:
    scripted.reply("POST /v1/jobs/log", GONE)
    found = quick("send", "log")
    assert found.exit_code == 4
    key = scripted.received[0].headers["Idempotency-Key"]
    assert found.stderr.endswith(f"it may have been stored; send it again with --key {key}, and it is stored once\n")


WORDS = ["redis-full", "redis-replica", "redis-busy", "redis-away", "redis-permission"]


@pytest.mark.parametrize("word", WORDS)
def test_a_redis_that_refused_has_stored_nothing(quick: Quick, scripted: ScriptedService, word: str) -> None:
    scripted.reply("POST /v1/jobs/log", Reply(make_problem(503, word, "No room"), 503))
    may_have = word in ("redis-away", "redis-permission")
    assert ("may have been stored" in quick("send", "log").stderr) == may_have


def test_where_nothing_listens_it_says_so(quick: Quick) -> None:
    url = f"http://127.0.0.1:{find_free_port()}"
    found = quick("send", "log", ERRAND_URL=url)
    assert found.exit_code == 4
    assert found.stderr == (
        f"errand: no service at {url} (Connection refused); start it (`errand up`) or set ERRAND_URL\n"
    )


def test_a_service_that_does_not_answer_is_away(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("errand.cli.client.http.ServiceClient.send.__defaults__", ((), None, "", 0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = quick("cancel", ID, ERRAND_URL=f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert found.exit_code == 4
    assert "no answer from http://127.0.0.1:" in found.stderr


def test_a_missing_key_is_told_with_the_line_to_set(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("GET /v1/jobs", Reply(make_problem(401, "no-key", "Send a known key"), 401))
    found = quick("list")
    assert (found.exit_code, found.stdout) == (3, "")
    assert "ERRAND_KEY is not set" in found.stderr
    assert "set ERRAND_KEY=errand_…" in found.stderr
    assert "does not know the key in ERRAND_KEY" in quick("list", ERRAND_KEY=KEY).stderr


def test_each_fault_is_told_with_its_place_in_the_commands_own_words(quick: Quick, scripted: ScriptedService) -> None:
    errors = [
        {"pointer": "#/items/7/to", "detail": "Field required"},
        {"pointer": "#", "detail": "not an object"},
        {"parameter": "run_at", "detail": "too far away"},
        {"parameter": "on_failure", "detail": "unknown"},
    ]
    detail = "4 things are wrong with the body; see errors"
    scripted.reply("POST /v1/jobs/log", Reply(make_problem(422, "invalid-body", detail, errors=errors), 422))
    found = quick("send", "log")
    assert found.exit_code == 3
    assert found.stderr.splitlines() == [
        "errand: 4 things are wrong with the body",
        "  items/7/to    Field required",
        "  payload       not an object",
        "  --at          too far away",
        "  --on-failure  unknown",
    ]


def test_a_redirect_is_not_followed_and_the_key_stays_here(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("GET /v1/jobs", Reply("", 308, {"Location": f"{scripted.url}/elsewhere"}))
    found = quick("list", ERRAND_KEY=KEY)
    assert found.exit_code == 4
    assert (
        found.stderr
        == f"errand: {scripted.url} redirects to {scripted.url}/elsewhere; set ERRAND_URL to where the service is\n"
    )
    assert len(scripted.received) == 1


@pytest.mark.parametrize(
    ("reply", "code", "said"),
    [
        (Reply({"jobs": []}), 4, "the answer can't be read (KeyError('items')); is it Errand at ERRAND_URL"),
        (Reply([]), 4, "the answer can't be read"),
        (Reply({"items": [{"id": 1}], "next": None}), 4, "the answer can't be read"),
        (Reply("<h1>It works!</h1>", 200), 4, "is not Errand; is ERRAND_URL right?"),
        (Reply("<h1>Not found</h1>", 404, {"Content-Type": "text/html"}), 3, "it is not Errand's"),
        (Reply("[", 404), 3, "it is not Errand's"),
        (Reply("<h1>Bad gateway</h1>", 502, {"Content-Type": "text/html"}), 4, "answered 502: Bad Gateway"),
    ],
)
def test_what_is_not_errand_is_told(
    quick: Quick, scripted: ScriptedService, reply: Reply, code: int, said: str
) -> None:
    scripted.reply("GET /v1/jobs", reply)
    found = quick("list")
    assert (found.exit_code, found.stdout) == (code, "")
    assert said in found.stderr


@pytest.mark.parametrize("url", ["ftp://host", "host:8000", "http://", "http://h:port", "http://h/?a", "http://ho st"])
def test_a_url_that_can_not_be_meant_is_wrong_usage(quick: Quick, url: str) -> None:
    found = quick("list", ERRAND_URL=url)
    assert found.exit_code == 2
    assert found.stderr.startswith(f"errand: ERRAND_URL is {url!r}: ")


@pytest.mark.parametrize("password", ["secret", "sec/ret", "sec#ret", "sec?ret", "sec@ret"])
def test_a_url_with_a_password_is_wrong_usage_and_is_not_shown(quick: Quick, password: str) -> None:
    found = quick("list", ERRAND_URL=f"http://ada:{password}@host")
    assert found.exit_code == 2
    assert "ERRAND_KEY" in found.stderr
    assert "sec" not in found.stderr
    assert "ret" not in found.stderr


def test_a_key_that_can_not_be_one_is_wrong_usage_and_is_not_shown(quick: Quick) -> None:
    found = quick("list", ERRAND_KEY="sec ret\n")
    assert found.exit_code == 2
    assert (
        found.stderr == "errand: ERRAND_KEY holds spaces or other characters that no key has; set ERRAND_KEY=errand_…\n"
    )


def test_control_characters_from_a_service_do_not_reach_the_terminal(quick: Quick, scripted: ScriptedService) -> None:
    scripted.reply("GET /v1/jobs", Reply(make_problem(409, "x", "a\x1b]0;title\x07b \ud800"), 409))
    assert quick("list").stderr == "errand: a ]0;title b  \n"


def test_a_proxy_is_not_asked_for_this_machine(scripted: ScriptedService) -> None:
    scripted.reply(f"GET /v1/jobs/{ID}", Reply(make_job()))
    found = run_errand("status", ID, "--json", ERRAND_URL=scripted.url, http_proxy="http://127.0.0.1:1")
    assert json.loads(found.out)["id"] == ID


def test_a_certificate_that_can_not_be_verified_is_refused(quick: Quick, tmp_path: Path) -> None:
    command = [sys.executable, "-c", TLS_SERVER, str(CERTIFICATE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        url = f"https://localhost:{server.stdout.readline().strip()}"
        found = quick("list", ERRAND_URL=url)
        server.kill()
    assert found.exit_code == 4
    assert f"{url} has a certificate that can't be verified" in found.stderr
    assert "SSL_CERT_FILE" in found.stderr


TLS_SERVER = """
import http.server, ssl, sys
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


def test_the_commands_that_ask_load_nothing_that_serves() -> None:
    heavy = "{'fastapi', 'redis', 'rq', 'sqlalchemy', 'errand.contract', 'errand.store', 'jobs', 'asyncio'}"
    program = f"import errand.cli.main, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
