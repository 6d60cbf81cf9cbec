"""Where the worker's log goes: out beside RQ's, once, in its form and from its level on."""

import json
import logging
from collections.abc import Iterator
from logging.config import dictConfig

import pytest
from rq.logutils import setup_loghandlers

from errand.service_log.reader import UP
from errand.worker.logs import form_log_of_rq, share_log_of_rq
from tests.support.services import Services
from tests.support.waiting import wait_until

NAMES = ("", "errand", "errand.worker", "errand.jobs", "rq.worker")


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Begin as a new process does; put everything back at the end, what `dictConfig` has disabled as well."""
    others = {
        logger: logger.disabled
        for logger in logging.Logger.manager.loggerDict.values()
        if isinstance(logger, logging.Logger)
    }
    kept = {}
    for name in NAMES:
        logger = logging.getLogger(name)
        kept[name] = (logger.handlers, logger.level, logger.propagate, logger.disabled)
        logger.handlers, logger.level, logger.propagate, logger.disabled = [], logging.NOTSET, True, False
    logging.getLogger("rq.worker").setLevel(logging.INFO)  # as RQ does when it is imported
    form = logging.lastResort.formatter if logging.lastResort else None
    yield
    if logging.lastResort:
        logging.lastResort.setFormatter(form)
    for name, (handlers, level, propagate, disabled) in kept.items():
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate, logger.disabled = handlers, propagate, disabled
        logger.setLevel(level)
    for logger, disabled in others.items():
        logger.disabled = disabled


def set_up(level: str | None = None) -> None:
    root = logging.getLogger()  # only here: pytest adds its handlers anew before each phase of a test
    root.handlers = [handler for handler in root.handlers if not type(handler).__module__.startswith("_pytest")]
    setup_loghandlers(level, "", "%(levelname)s %(message)s")
    share_log_of_rq(is_level_given=level is not None)


def log_both() -> None:
    for name in ("errand.worker", "errand.jobs"):
        for level in ("debug", "info", "warning", "error"):
            getattr(logging.getLogger(name), level)("%s of %s", level, name)


def test_it_has_rqs_form_and_each_record_comes_once(capsys: pytest.CaptureFixture[str]) -> None:
    set_up()
    log_both()
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "INFO info of errand.worker",
        "WARNING warning of errand.worker",
        "INFO info of errand.jobs",
        "WARNING warning of errand.jobs",
    ]
    assert err.splitlines() == ["ERROR error of errand.worker", "ERROR error of errand.jobs"]


@pytest.mark.parametrize(("level", "lines"), [("DEBUG", 8), ("INFO", 6), ("WARNING", 4), ("ERROR", 2)])
def test_it_obeys_the_commands_level(capsys: pytest.CaptureFixture[str], level: str, lines: int) -> None:
    logging.getLogger("errand").setLevel(logging.CRITICAL)
    set_up(level)
    log_both()
    assert len("".join(capsys.readouterr()).splitlines()) == lines


def test_a_level_of_its_own_stays_where_the_command_was_given_none(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("errand").setLevel(logging.ERROR)
    set_up()
    log_both()
    assert len("".join(capsys.readouterr()).splitlines()) == 2


@pytest.mark.parametrize("name", ["", "errand"])
def test_handlers_that_are_there_stay_the_only_ones(capsys: pytest.CaptureFixture[str], name: str) -> None:
    logging.getLogger(name).addHandler(logging.StreamHandler())
    set_up()
    log_both()
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 6)


def test_a_configuration_that_names_rqs_logger_alone_holds_for_ours(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {"class": "logging.StreamHandler", "formatter": "short"}
    dictConfig(
        {
            "version": 1,  # and what is there and not named is disabled: dictConfig's default
            "formatters": {"short": {"format": "mine: %(message)s"}},
            "handlers": {"mine": shown},
            "loggers": {"rq.worker": {"handlers": ["mine"], "level": "ERROR"}},
        }
    )
    set_up()
    logging.getLogger("errand.worker").warning("no")
    logging.getLogger("errand.worker").error("yes")
    assert capsys.readouterr().err == "mine: yes\n"


FAILED = {"error_type": "ValueError", "frame": "jobs/sms.py:3 in run"}


def log_failure(*form: str) -> None:
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not type(handler).__module__.startswith("_pytest")]
    setup_loghandlers(None, *form)
    form_log_of_rq("host.1")
    share_log_of_rq(is_level_given=False)
    try:
        raise ValueError("secret")
    except ValueError:
        logging.getLogger("errand.worker").warning("failed", exc_info=True, extra=FAILED)


def test_the_commands_handlers_write_json_where_nobody_reads_along(capsys: pytest.CaptureFixture[str]) -> None:
    log_failure()
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["worker"], line["error"]) == ("failed", "host.1", "ValueError")


def test_a_form_that_the_command_was_given_stays_and_a_failure_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    log_failure("", "mine: %(message)s")
    assert capsys.readouterr().out == "mine: failed\n"


def test_under_errand_up_lines_are_short(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(UP, "1")
    log_failure()
    assert capsys.readouterr().out == "WARNING: failed\n"


@pytest.mark.quick
def test_under_the_command_each_line_comes_once_with_our_name(services: Services) -> None:
    services.start_api()
    worker = services.start_worker("--log-format", "%(name)s|%(levelname)s|%(message)s")
    id = services.wait_for(services.post("echo", {"value": 1}))["id"]
    lines = wait_until(lambda: [line for line in services.read_log(worker).splitlines() if id in line])
    assert [line.partition(" in ")[0] for line in lines] == [f"errand.worker|INFO|echo {id}: finished"]
    assert "errand.worker|INFO|Worker " in services.read_log(worker)


def test_a_quiet_worker_logs_only_failures(services: Services) -> None:
    services.start_api()
    worker = services.start_worker("--quiet")
    services.wait_for(services.post("echo", {"value": 1}))
    id = services.wait_for(services.post("tagged", {"customer": "c"}))["id"]
    log = wait_until(lambda: services.read_log(worker))
    assert [line for line in log.splitlines() if line.startswith(("0", "1", "2"))] == [log.splitlines()[0]]
    assert f"tagged {id}: failed for good: PermanentError" in log
