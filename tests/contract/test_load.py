"""The contract over every job file, and the message for each way to break it."""

import shutil
import sys
from pathlib import Path

import pytest
from rq.utils import import_attribute

from errand import ContractError, Job, Queue, list_queues, load_jobs
from tests.support.job_fixtures import FIXTURES, Add
from tests.support.project import OWN, ROOT
from tests.support.services import Services
from tests.support.waiting import wait_until

JOBS = {name: job for name, job in load_jobs().items() if name in OWN}

BROKEN = {
    "no_run": "jobs/no_run.py: there is no run(); write one, or begin the file's name with an underscore",
    "undecorated": "jobs/undecorated.py: run is no job; put @job() above it (from errand import job)",
    "bare_decorator": "jobs/bare_decorator.py: @job lacks its parentheses; write @job()",
    "sms": "jobs/sms.py: run(): parameter 'to' has no type; annotate it",
    "star": "jobs/star.py: run(): '*numbers' can't become a payload; name and type each parameter",
    "double_star": "jobs/double_star.py: run(): '**headers' can't become a payload; name and type each parameter",
    "positional_only": "jobs/positional_only.py: run(): parameter 'to' is positional only; remove the '/'",
    "bare_progress": "jobs/bare_progress.py: run(): parameter 'progress' has no default; "
    "write 'progress: Progress = Progress()'",
    "strange_type": "jobs/strange_type.py: run(): parameter 'thread': Thread can't be read from JSON; "
    "use a plain or pydantic type, or give it with Depends",
    "secret": "jobs/secret.py: run(): parameter 'password' holds a secret, which would be stored as asterisks; "
    "read it from settings inside run()",
    "underscore": "jobs/underscore.py: run(): parameter '_to' begins with an underscore; rename it",
    "reserved": "jobs/reserved.py: run(): parameter 'stack' has a name that fast-depends uses; rename it",
    "generator": "jobs/generator.py: run() is a generator; return instead of yield",
    "async_dependency": "jobs/async_dependency.py: run(): You cannot use async dependency `connect` at sync main; "
    "make run() async or the dependency plain",
    "bad_example": "jobs/bad_example.py: the example is no valid payload: "
    "to: Input should be a valid string; txt: Extra inputs are not permitted",
    "bad_queue": "jobs/bad_queue.py: queue 'Text Messages': use lower-case letters, digits, - and _",
    "no_time": "jobs/no_time.py: timeout_seconds is 0; give at least 1",
    "no_expiry": "jobs/no_expiry.py: expires is 'soon'; give 'start' or 'end'",
    "no_tries": "jobs/no_tries.py: Backoff(tries=0); the first attempt counts: at least 1",
    "no_hours": "jobs/no_hours.py: Backoff(hours=0); give more than 0",
    "bad_cron": "jobs/bad_cron.py: cron: hour '25' can't be read: write 0 to 23, *, lists (1,2), ranges (1-5) "
    "and steps (*/5)",
    "bad_zone": "jobs/bad_zone.py: timezone: there is no time zone 'Europe/Pariss' in the IANA database; "
    "do you mean Europe/Paris?",
    "zone_alone": "jobs/zone_alone.py: timezone is the cron's; give a cron or leave it out",
    "cron_needs": "jobs/cron_needs.py: cron runs it without a payload; give 'to' a default",
    "import_error": "jobs/import_error.py: line 4: ModuleNotFoundError: No module named 'jobs._nowhere'",
    "of_another": "jobs/of_another.py: run is jobs.log's; define it here, as run(), "
    "or adopt that one: run = log.run.adopt(__name__)",
    "other_name": "jobs/other_name.py: run is made of send(); name the function run()",
    "recording": "jobs/recording.py: jobs.recording is the contract's own name; call the file something else",
    "forward_reference": "jobs/forward_reference.py: run(): name 'Decimal' is not defined; "
    "import the type at the top of the file",
}


@pytest.mark.parametrize("name", JOBS)
class TestEachJobFileOfTheProject:
    def test_its_type_is_its_files_name(self, name: str) -> None:
        assert JOBS[name].type == name

    def test_it_says_what_it_does(self, name: str) -> None:
        assert sys.modules[f"jobs.{name}"].__doc__

    def test_its_payload_is_an_object_without_unknown_fields(self, name: str) -> None:
        schema = JOBS[name].payload.model.model_json_schema()
        assert (schema["type"], schema["additionalProperties"]) == ("object", False)

    def test_its_queue_is_among_those_that_a_worker_serves(self, name: str) -> None:
        assert JOBS[name].queue in list_queues(JOBS)

    def test_its_example_is_a_payload(self, name: str) -> None:
        if example := JOBS[name].example:
            JOBS[name].payload.model.model_validate(example)

    def test_rq_finds_its_function_by_its_path(self, name: str) -> None:
        assert import_attribute(f"jobs.{name}.run.perform") == JOBS[name].perform


def test_the_job_files_are_all_found_and_helpers_are_not() -> None:
    found = load_jobs()
    assert {path.stem for path in (ROOT / "jobs").glob("[!_]*.py")} == set(found)
    assert all(isinstance(job, Job) and not name.startswith("_") for name, job in found.items())


def test_default_is_served_even_if_no_job_names_it() -> None:
    assert list_queues({}) == [Queue("default")]


def test_every_broken_fixture_has_its_message_here() -> None:
    assert {path.stem for path in (FIXTURES / "broken").glob("*.py")} == set(BROKEN)


def _load(folder: Path, add_folder: Add) -> str:
    add_folder(folder)
    with pytest.raises(ContractError) as caught:
        load_jobs()
    return str(caught.value)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_reported_with_its_name_the_parameter_and_the_fix(
    name: str, add_folder: Add, tmp_path: Path
) -> None:
    shutil.copy(FIXTURES / f"broken/{name}.py", tmp_path)
    assert _load(tmp_path, add_folder) == BROKEN[name]


def test_a_syntax_error_is_reported_with_its_line(add_folder: Add, tmp_path: Path) -> None:
    (tmp_path / "sms.py").write_text("from jobs import job\n\n@job(\ndef run(to: str) -> None: ...\n")
    assert _load(tmp_path, add_folder) == "jobs/sms.py: line 3: SyntaxError: '(' was never closed"


@pytest.mark.parametrize("name", ["Sms", "send-sms", "2fa"])
def test_a_file_whose_name_is_no_type_says_what_to_use(name: str, add_folder: Add, tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "jobs/echo.py", tmp_path / f"{name}.py")
    assert _load(tmp_path, add_folder) == (
        f"jobs/{name}.py: the file's name is the job's type in its URL; use lower-case letters, digits and _"
    )


def test_an_error_in_a_job_that_another_imports_is_reported_where_it_is(add_folder: Add, tmp_path: Path) -> None:
    (tmp_path / "alarm.py").write_text("from jobs import sms\n")
    (tmp_path / "sms.py").write_text("import os\n\nKEY = os.environ['NO_SUCH_KEY']\n")
    assert _load(tmp_path, add_folder) == "jobs/sms.py: line 3: KeyError: 'NO_SUCH_KEY'"


@pytest.mark.quick
def test_a_worker_with_a_broken_job_file_ends_with_that_one_line(services: Services, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(services.project, folder)
    shutil.copy(FIXTURES / "broken/sms.py", folder / "jobs")
    services.project = folder
    worker = services.start_worker()
    assert wait_until(lambda: worker.poll() is not None)
    assert worker.returncode != 0
    assert services.read_log(worker) == f"errand: {BROKEN['sms']}\n"
