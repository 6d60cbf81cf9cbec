"""What `python -m bench.mutation` changes, and that a change reaches the functions that live."""

import ast
from textwrap import dedent
from typing import Any

import pytest

from bench.mutation.operators import compile_mutant, list_mutants
from bench.mutation.trial import replace

PATH = "errand/example.py"


def list_changes(text: str) -> list[tuple[str, str]]:
    return [(mutant.before, mutant.after) for mutant, _ in list_mutants(PATH, ast.parse(dedent(text)))]


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        ("a < b", [("a < b", "a <= b")]),
        ("a and not b", [("a and (not b)", "a or not b"), ("not b", "b")]),
        ("a + 1", [("a + 1", "a - 1"), ("1", "2")]),
        ("True", [("True", "False")]),
        ("'x' if a else b", [("a", "not a"), ("'x'", "'XXx'")]),
        ("f'{a} is text'", []),
        ("[c for c in a if c]", [("c", "not c")]),
    ],
)
def test_an_expression_is_changed_at_each_operator_and_constant(body: str, changes: list[tuple[str, str]]) -> None:
    whole = f"return {ast.unparse(ast.parse(body))}"
    assert list_changes(f"def run(a, b):\n    {body and whole}") == [(whole, "return None"), *changes]


def test_calls_and_errors_are_left_out_and_what_tools_read_is_left_alone() -> None:
    text = '''
        def run(a: "int" = 1) -> "str":
            """Text."""
            a()
            raise ValueError("text")
    '''
    assert list_changes(text) == [("1", "2"), ("a()", "nothing"), ("raise ValueError('text')", "nothing")]


def test_a_change_keeps_its_name_where_another_function_changes() -> None:
    before = list(list_mutants(PATH, ast.parse("def first():\n    return 1\ndef run():\n    return 1, 1\n")))
    after = list(list_mutants(PATH, ast.parse("def first():\n    return 2\n\ndef run():\n    return 1, 1\n")))
    names = [{mutant.id for mutant, _ in found if mutant.function == "run"} for found in (before, after)]
    assert names[0] == names[1]
    assert len(names[0]) == 3


def test_a_living_function_has_the_changed_code() -> None:
    tree = ast.parse("class A:\n    def run(self, a):\n        return (lambda: a)() + 1\n")
    code = compile(tree, PATH, "exec")
    names: dict[str, Any] = {}
    exec(code, names)
    run, found = names["A"].run, {}
    own = run.__code__
    for mutant, site in list_mutants(PATH, tree):
        assert replace([run], code, compile_mutant(tree, site, PATH)) == 1
        found[mutant.after] = names["A"]().run(2)
        run.__code__ = own
    assert found == {"return None": None, "(lambda: a)() - 1": 1, "2": 4}
