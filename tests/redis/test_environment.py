"""X_FILE in the place of X: for each setting of ours, and for those of users."""

from pathlib import Path

import pytest
from pydantic import Field
from typer.testing import CliRunner

from errand.cli.client.problem import WrongUsageError
from errand.cli.client.settings import read_client_settings
from errand.cli.main import app
from errand.local.settings import UpOptions
from errand.log.settings import read_log_settings
from errand.mail.retry import read_service
from errand.mail.settings import read_mail_settings
from errand.redis.environment import read_variable
from errand.redis.settings import Settings, SettingsError, read_settings
from errand.store.settings import QueueSettings
from errand.webhook.settings import read_webhook_settings

SECRET = "redis://:hunter2@host:6379/0"


class Users(Settings):
    """Settings as a user's job has them: with a name, with none, and one that ends as files do."""

    token: str = Field("", alias="TOKEN")
    api_ids: list[int] = []
    log: str = ""
    log_file: str = ""


def put(folder: Path, text: str) -> str:
    path = folder / "secret"
    path.write_text(text)
    return str(path)


def refuse(kind: type[Settings]) -> str:
    with pytest.raises(SettingsError) as raised:
        read_settings(kind, "a test")
    return str(raised.value)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_setting_is_read_from_the_file_that_its_variable_names(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "")  # as Compose passes on what is not set
    monkeypatch.setenv("REDIS_URL_FILE", put(tmp_path, SECRET + end))
    assert read_settings(QueueSettings, "a test").redis_url == SECRET
    assert read_variable("REDIS_URL") == SECRET


def test_a_setting_that_is_given_twice_is_refused_by_both_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", SECRET)
    monkeypatch.setenv("REDIS_URL_FILE", put(tmp_path, SECRET))
    assert refuse(QueueSettings) == "REDIS_URL and REDIS_URL_FILE are both set; take one of them out (a test)"


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), (b"hunter2\xff", "it is no file with UTF-8")])
def test_a_file_that_cant_be_read_is_reported_by_its_name_and_its_path(
    content: bytes | None, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("REDIS_URL_FILE", str(path))
    said = refuse(QueueSettings)
    assert said.startswith(f"REDIS_URL_FILE={path} can't be read: {reason}")
    assert "hunter2" not in said


def test_a_wrong_value_in_a_file_is_not_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL_FILE", put(tmp_path, "hunter2"))
    said = refuse(QueueSettings)
    assert said.startswith("REDIS_URL is wrong (a test): ")
    assert "hunter2" not in said


def test_a_users_own_settings_have_it_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_FILE", put(tmp_path, "abc\n"))
    (tmp_path / "ids").write_text("[1, 2]\n")
    monkeypatch.setenv("API_IDS_FILE", str(tmp_path / "ids"))
    monkeypatch.setenv("LOG_FILE", "jobs.log")  # a setting of its own, no file of another one
    assert Users().model_dump() == {"token": "abc", "api_ids": [1, 2], "log": "", "log_file": "jobs.log"}


def test_what_reads_the_environment_at_each_job_reads_files_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {
        "SMTP_URL": "smtp://host",
        "MAIL_FROM": "a@example.com",
        "LOG_URL": "file:there.txt",
        "WEBHOOK_SECRETS": "whsec_" + "A" * 32,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text + "\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    assert read_mail_settings().sender.addr_spec == texts["MAIL_FROM"]
    assert read_service() == texts["SMTP_URL"]
    assert read_log_settings().log_url == texts["LOG_URL"]
    assert read_webhook_settings().secrets == [texts["WEBHOOK_SECRETS"]]


def test_errand_up_leaves_alone_what_a_file_says() -> None:
    given = {"REDIS_URL_FILE": "/r", "SMTP_URL_FILE": "/s", "DATABASE_URL_FILE": "/d"}
    completed = UpOptions("127.0.0.1", 8000, Path(".errand"), 1).complete(given, "unix:///ours", "smtp://ours")
    assert given.items() <= completed.items()
    assert not {"REDIS_URL", "SMTP_URL", "MAIL_FROM", "DATABASE_URL"} & set(completed)


def test_the_command_line_reads_its_key_from_a_file(tmp_path: Path) -> None:
    path = put(tmp_path, "errand_abc\n")
    assert read_client_settings({"ERRAND_KEY_FILE": path}).key == "errand_abc"
    with pytest.raises(WrongUsageError, match=r"^ERRAND_KEY_FILE=/none can't be read: No such file"):
        read_client_settings({"ERRAND_KEY_FILE": "/none"})


def test_a_key_is_appended_to_those_of_the_file(tmp_path: Path) -> None:
    before = "ada:" + "0" * 64
    found = CliRunner().invoke(app, ["key", "bob"], env={"API_KEYS_FILE": put(tmp_path, before + "\n")})
    assert found.stdout.splitlines()[-1].startswith(f"API_KEYS={before},bob:")
