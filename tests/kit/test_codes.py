"""Codes that a spreadsheet has changed are recognised."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.kit import codes
from broadcast.kit.codes import KnownCodes, likeness
from broadcast.kit.errors import InvalidInput

ALIKE = [
    ("00123", "123"),
    ("00123", "123."),
    ("123", "123.0"),
    ("QN-000417", "qn-000417"),
    ("Đ"[:0] + "CL-a", "CL-A"),
    ("1.23E11", "123000000000"),
    ("12E3", "12e3"),
]
ALIKE += [
    ("Ab-7", "Ab-07"),
    ("QN-1", "QN-01"),
    ("QN-000417", "QN-0417"),
    ("OO123", "00123"),
    ("OO123", "123"),
    ("QN-O17", "QN-017"),
    ("QN-I7", "QN-17"),
    ("QN-l7", "QN-17"),
    ("CL_17", "CL-17"),
    ("LO-1", "10-1"),
    ("A07B02", "A7B2"),
    ("1.50", "1.5"),
    ("HOA-1", "H0A-1"),
]
DIFFERENT = [
    ("123", "124"), ("1.5", "15"), ("1.2.3", "12.3"), ("A1", "A-1"), ("IA-1", "LA-1"),
    ("QN-10", "QN-1"), ("QN-100", "QN-10"), ("QN-0", "QN-"), ("A1-1", "A11"),
    ("1.05", "1.5"), ("T-0001", "T-0010"),
]  # fmt: skip


def test_examples() -> None:
    assert doctest.testmod(codes).failed == 0


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_what_resembles_a_code_in_use_is_refused(one: str, other: str) -> None:
    for first, second in ((one, other), (other, one)):
        known = KnownCodes("cụm loa", [first])
        with pytest.raises(InvalidInput) as refused:
            known.admit(second)
        assert refused.value.field == "code"
        assert first in refused.value.detail or "bảng tính" in refused.value.detail
        assert known.hint(second) == f" (có phải “{first}”?)"


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_codes_are_taken(one: str, other: str) -> None:
    known = KnownCodes("cụm loa", [one])
    known.admit(other)
    assert known.hint(one) == known.hint(other) == ""


@pytest.mark.parametrize("code", ["123.0", "0.00", "12-Mar", "3-thg12", "Jan-26", "1-Dec-2025"])
def test_a_form_that_only_a_spreadsheet_gives_is_refused(code: str) -> None:
    with pytest.raises(InvalidInput, match="bảng tính"):
        KnownCodes("cụm loa", ()).admit(code)


@given(st.lists(st.from_regex(r"[0eE1.aA-]{1,6}", fullmatch=True), max_size=8))
def test_no_two_admitted_codes_resemble_each_other(asked: list[str]) -> None:
    known, admitted = KnownCodes("cụm loa", ()), []
    for code in asked:
        try:
            known.admit(code)
        except InvalidInput:
            continue
        admitted.append(code)
    assert len({likeness(code) for code in admitted}) == len(set(admitted))


@given(st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True))
def test_every_code_resembles_itself(code: str) -> None:
    known = KnownCodes("cụm loa", [code])
    assert likeness(code) == likeness(code.upper()) == likeness(code.lower())
    assert known.hint(code) == ""
