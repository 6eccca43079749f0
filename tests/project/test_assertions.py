"""Every test states something that can be false.

What counts: `assert`, `pytest.raises` and the like, and a call to a helper of the tests that
states something itself, however deep. A test that only calls says what it saw instead.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
STATING = {"raises", "warns", "fail", "run_state_machine_as_test"}
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def called(node: ast.AST) -> set[str]:
    """Names of the functions and methods called anywhere in `node`."""
    calls = (each.func for each in ast.walk(node) if isinstance(each, ast.Call))
    return {getattr(each, "attr", getattr(each, "id", "")) for each in calls}


def states(function: ast.AST) -> bool:
    asserts = any(isinstance(each, ast.Assert) for each in ast.walk(function))
    names = called(function)
    return asserts or not STATING.isdisjoint(names) or any(n.startswith("assert_") for n in names)


def functions(tree: ast.AST) -> list[FUNCTIONS]:
    return [each for each in ast.walk(tree) if isinstance(each, FUNCTIONS)]


def without_assertion(trees: dict[str, ast.AST]) -> list[str]:
    """Places of the tests that state nothing, themselves or through helpers.

    A call is of the helpers of that name in the same module, else of all others of that name, and
    counts if every one of them states something.
    """
    named: dict[tuple[str, str], list[FUNCTIONS]] = {}
    for place, tree in trees.items():
        for function in functions(tree):
            for where in (place, ""):
                named.setdefault((where, function.name), []).append(function)
    every = [(place, each) for place, tree in trees.items() for each in functions(tree)]
    stating = {function for _, function in every if states(function)}
    helpers = {
        function: [
            found
            for name in called(function)
            if (found := named.get((place, name)) or named.get(("", name)))
        ]
        for place, function in every
        if function not in stating
    }
    before = -1
    while before < len(stating):
        before = len(stating)
        stating |= {
            function
            for function, called_by_it in helpers.items()
            if any(stating.issuperset(each) for each in called_by_it)
        }
    return [
        f"{place}:{function.lineno} {function.name}"
        for place, function in every
        if function.name.startswith("test") and function not in stating
    ]


def test_every_test_asserts() -> None:
    trees: dict[str, ast.AST] = {
        str(path.relative_to(TESTS)): ast.parse(path.read_text(encoding="utf-8"))
        for path in TESTS.rglob("*.py")
    }
    assert without_assertion(trees) == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("run()", True),
        ("x = 1 == 2", True),
        ("assert run()", False),
        ("with pytest.raises(ValueError):\n        run()", False),
        ("outer()", False),
        ("world.outer()", False),
        ("mixed()", True),
    ],
)
def test_what_asserts_nothing_is_found(body: str, found: bool) -> None:
    helpers = """
def inner(): assert run()
def outer(): return inner()
def mixed(): assert run()
class Other:
    def mixed(self): run()
"""
    tree = ast.parse(f"{helpers}\nasync def test_it():\n    {body}\n")
    assert bool(without_assertion({"it.py": tree})) == found
