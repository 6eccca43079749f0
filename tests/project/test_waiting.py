"""No test passes or fails by how busy the machine is.

A clock that measures how long something takes is for benchmarks; a bound to a wait is for what
hangs and is generous, unless the test expects it to run out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
CLOCKS = {"monotonic", "perf_counter", "process_time", "thread_time", "time"}
GENEROUS_SECONDS = 30
MAY_READ = {
    "waiting.py": "gives up what hangs",
    "keys/test_drill.py": "the clock of simulated boxes",
    "install/systemctl.py": "stands for systemd, which gives a unit so long to stop",
}
"""Files that read such a clock, and what for. What is not compared with a bound may come in."""


def clocks(tree: ast.AST) -> Iterator[int]:
    """Lines that read a clock of the `time` module, or import one."""
    for each in ast.walk(tree):
        match each:
            case ast.ImportFrom(module="time", names=names):
                if any(name.name.removesuffix("_ns") in CLOCKS for name in names):
                    yield each.lineno
            case ast.Call(func=ast.Attribute(value=ast.Name(id="time"), attr=attr)):
                if attr.removesuffix("_ns") in CLOCKS:
                    yield each.lineno


def expects_to_run_out(node: ast.AST) -> bool:
    """Of a `with` or `try`: that somebody counts on a TimeoutError of what is in it."""
    match node:
        case ast.With() | ast.AsyncWith():
            managers = [item.context_expr for item in node.items]
            return any(
                isinstance(each, ast.Call)
                and getattr(each.func, "attr", getattr(each.func, "id", ""))
                in {"raises", "suppress"}
                and "TimeoutError" in ast.dump(each)
                for each in managers
            )
        case ast.Try():
            return any("TimeoutError" in ast.dump(each.type or each) for each in node.handlers)
    return False


def short_waits(node: ast.AST) -> Iterator[int]:
    """Lines with an `asyncio.timeout` or `wait_for` of a few seconds that must not run out."""
    if expects_to_run_out(node):
        return
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="asyncio"), attr="timeout" | "wait_for")
        ):
            bounds = [*node.args, *(each.value for each in node.keywords)]
            for bound in bounds:
                match bound:
                    case ast.Constant(value=int() | float() as seconds):
                        if seconds < GENEROUS_SECONDS:
                            yield node.lineno
    for child in ast.iter_child_nodes(node):
        yield from short_waits(child)


def trees() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(TESTS.rglob("*.py")):
        yield str(path.relative_to(TESTS)), ast.parse(path.read_text(encoding="utf-8"))


def test_no_test_measures_a_time() -> None:
    found = {place: lines for place, tree in trees() if (lines := list(clocks(tree)))}
    assert found.keys() == MAY_READ.keys(), found


def test_no_wait_is_too_short_for_a_busy_machine() -> None:
    found = [f"{place}:{line}" for place, tree in trees() for line in short_waits(tree)]
    assert found == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("began = time.monotonic()", True),
        ("from time import process_time", True),
        ("time.perf_counter_ns()", True),
        ("datetime.time()", False),
        ("time.sleep(1)", False),
    ],
)
def test_a_clock_is_found(body: str, found: bool) -> None:
    assert bool(list(clocks(ast.parse(body)))) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("async with asyncio.timeout(5):\n        await x", True),
        ("await asyncio.wait_for(x, timeout=2.5)", True),
        ("async with asyncio.timeout(60):\n        await x", False),
        ("with pytest.raises(TimeoutError):\n        await asyncio.wait_for(x, 0.2)", False),
        (
            "try:\n        await asyncio.wait_for(x, 1)\n    except TimeoutError:\n        pass",
            False,
        ),
    ],
)
def test_a_short_wait_is_found(body: str, found: bool) -> None:
    assert bool(list(short_waits(ast.parse(f"async def it():\n    {body}\n")))) == found
