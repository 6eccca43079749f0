"""Numbers as words, against rules written the other way round."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.bulletins.speech.numbers import cardinal, decimal, digits, whole

ONES = {
    "không": 0, "một": 1, "mốt": 1, "hai": 2, "ba": 3, "bốn": 4, "năm": 5, "lăm": 5,
    "sáu": 6, "bảy": 7, "tám": 8, "chín": 9,
}  # fmt: skip
SIZES = {"tỷ": 10**9, "triệu": 10**6, "nghìn": 1000}


def heard(words: str) -> int:
    """What a listener understands: the reverse of `cardinal`, sharing nothing with it."""
    total = group = digit = 0
    for word in words.split():
        if word in ONES:
            digit = ONES[word]
        elif word == "trăm":
            group, digit = digit * 100, 0
        elif word == "mươi":
            group, digit = group + digit * 10, 0
        elif word == "mười":
            group, digit = group + 10, 0
        elif word == "tỷ":
            total, group, digit = (total + group + digit) * SIZES[word], 0, 0
        elif word in SIZES:
            total, group, digit = total + (group + digit) * SIZES[word], 0, 0
        else:
            assert word == "linh"
    return total + group + digit


@given(st.integers(0, 10**15 - 1))
def test_a_number_is_understood_as_it_was_meant(number: int) -> None:
    assert heard(cardinal(number)) == number


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_two_numbers_never_sound_the_same(one: int, other: int) -> None:
    assert (cardinal(one) == cardinal(other)) == (one == other)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "không"),
        (4, "bốn"),
        (5, "năm"),
        (10, "mười"),
        (11, "mười một"),
        (14, "mười bốn"),
        (15, "mười lăm"),
        (20, "hai mươi"),
        (21, "hai mươi mốt"),
        (24, "hai mươi bốn"),
        (25, "hai mươi lăm"),
        (55, "năm mươi lăm"),
        (100, "một trăm"),
        (101, "một trăm linh một"),
        (105, "một trăm linh năm"),
        (110, "một trăm mười"),
        (111, "một trăm mười một"),
        (115, "một trăm mười lăm"),
        (121, "một trăm hai mươi mốt"),
        (1000, "một nghìn"),
        (1005, "một nghìn không trăm linh năm"),
        (1015, "một nghìn không trăm mười lăm"),
        (2024, "hai nghìn không trăm hai mươi bốn"),
        (2025, "hai nghìn không trăm hai mươi lăm"),
        (10_500, "mười nghìn năm trăm"),
        (1_000_000, "một triệu"),
        (1_000_005, "một triệu không trăm linh năm"),
        (1_050_000, "một triệu không trăm năm mươi nghìn"),
        (7_500_000_000, "bảy tỷ năm trăm triệu"),
        (10**12, "một nghìn tỷ"),
        (-5, "âm năm"),
    ],
)
def test_words_follow_the_rules_of_reading(number: int, words: str) -> None:
    assert cardinal(number) == words


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("0,5", "không phẩy năm"),
        ("1,5", "một phẩy năm"),
        ("12,75", "mười hai phẩy bảy mươi lăm"),
        ("0,05", "không phẩy không năm"),
        ("3,142", "ba phẩy một bốn hai"),
        ("1.000.000", "một triệu"),
        ("1.234,5", "một nghìn hai trăm ba mươi bốn phẩy năm"),
        ("1.1", "một chấm một"),
        ("2.10.3", "hai chấm mười chấm ba"),
        ("192.168.1.1", "một trăm chín mươi hai chấm một trăm sáu mươi tám chấm một chấm một"),
    ],
)
def test_dots_part_thousands_and_a_comma_decimals(written: str, words: str) -> None:
    assert decimal(written) == words


def test_a_code_is_read_digit_by_digit() -> None:
    assert digits("0255") == "không hai năm năm"
    assert whole("007") == "không không bảy"
    assert whole("1" * 16) == " ".join(["một"] * 16)
    assert whole("0") == "không"
