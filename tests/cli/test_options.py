"""Commands that take their options in groups."""

import re
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from errand.cli.options import take_groups


@dataclass(frozen=True)
class Greeting:
    """How to greet."""

    name: Annotated[str, typer.Argument()]
    word: Annotated[str, typer.Option("--word", "-w", help="The word.")] = "Hello"
    loud: Annotated[bool, typer.Option("--loud")] = False


@take_groups
def greet(
    first: Annotated[int, typer.Option(help="The first.")],
    greeting: Greeting,
    last: Annotated[str, typer.Option()] = "z",
) -> None:
    """Greet somebody."""
    print(first, greeting, last)


app = typer.Typer()
app.command()(greet)


def run(*words: str) -> str:
    found = CliRunner().invoke(app, words)
    assert found.exit_code == 0, found.output
    return found.output


def test_the_fields_of_a_group_arrive_as_one_object() -> None:
    assert run("Ada", "--first", "1") == f"1 {Greeting('Ada')} z\n"
    assert run("--first", "2", "-w", "Hi", "--loud", "Ada", "--last", "y") == f"2 {Greeting('Ada', 'Hi', True)} y\n"


def test_the_help_is_that_of_a_command_whose_parameters_stand_where_the_groups_do() -> None:
    text = run("--help")
    assert re.findall(r"(--\w+)", text.partition("Options")[2])[:4] == ["--first", "--word", "--loud", "--last"]
    assert "Greet somebody." in text
    assert "The word." in text
    assert "greeting" not in text.lower()


def test_two_parameters_of_one_name_are_refused() -> None:
    def command(word: str, greeting: Greeting) -> None:
        """Never run."""

    with pytest.raises(ValueError, match="duplicate parameter name: 'word'"):
        take_groups(command)
