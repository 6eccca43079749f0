"""Every message that a person can see, held against a short list of style."""

from __future__ import annotations

import re
import unicodedata
from typing import get_args

import pytest
from pydantic_core.core_schema import ErrorType

from broadcast.kit import errors
from broadcast.kit.validation import invalid
from tests.project.messages import MESSAGES, VIETNAMESE

_NEXT = re.compile(
    r"\b(hãy|cần|phải|chờ|thử lại|dùng|sửa|ghi|gửi|kiểm tra|chạy|cài|chọn|đặt|tháo|tạo|có thể|"
    r"kết thúc|tải|báo|lại|xem)\b|\{",
    re.IGNORECASE,
)

ENGLISH = (
    "server file folder password user click upload download offline online timeout restart error "
    "warning failed device cluster station plant bulletin schedule occurrence"
)
WORDS = {
    r"bản tin (MQTT|\{\w+\.kind)": "thông điệp: bản tin is what a village hears",
    r"nhịp tim": "tin báo trạng thái",
    r"(?i)lần phát": "buổi phát",
    r"MQTT broker": "broker MQTT",
    r"\b[Tt]elemetry\b": "thiết bị tự báo",
    r"\b[Tt]oken\b": "mã truy cập",
    rf"(?i)\b({ENGLISH.replace(' ', '|')})s?\b": "Vietnamese",
    r"\b(tỉnh|huyện|xã|phường|thôn|đặc khu) \{[\w.()]*name": "a name begins with its kind",
    r"\{[\w.()]*kind\} \{[\w.()]*name": "a name begins with its kind",
    r"\{(error|exc|exception|error\.strerror)\}": "what a library says is English",
    r"\.\.\.": "…",
    r"\S {2,}\S": "one space",
    r" [,.;:!?](\s|$)": "no space before a mark",
    r'"\{|\}"': "“…” around what is quoted",
}
"""What no message says, and what it says instead, or why."""

_CODE = re.compile(
    r"`[^`]*`|\{[^{}]*\}|“[^”]*”|\([a-z _-]+\)|broadcast [a-z-]+( [a-z-]+)*|--[a-z-]+|"
    r"\b\w+(_\w+|=\S*|: true)|\S*[/.]\w+\S*|BROADCAST_\w+"
)
"""Names of fields, commands and files in a message, and a word in brackets, stay as they are."""


def test_messages_are_found() -> None:
    assert len(MESSAGES) > 700
    assert sum(message.error is not None for message in MESSAGES) > 150


@pytest.mark.parametrize("pattern", WORDS)
def test_words_that_no_message_says(pattern: str) -> None:
    structural = any(sign in pattern for sign in (r"\{", r'"', "..."))
    found = [
        f"{message.place}: {message.text}"
        for message in MESSAGES
        if re.search(pattern, message.text if structural else _CODE.sub("#", message.text))
    ]
    assert found == [], f"instead: {WORDS[pattern]}"


def test_every_detail_of_an_error_is_vietnamese() -> None:
    english = [
        f"{message.place}: {message.text}"
        for message in MESSAGES
        if message.error is not None
        and not VIETNAMESE.search(message.text)
        and not message.text.startswith("{")
    ]
    assert english == []


def test_a_detail_is_a_sentence_and_that_of_a_field_may_be_a_phrase() -> None:
    wrong = []
    for place, text, error, _ in MESSAGES:
        if error is None or text.startswith("{"):
            continue
        begins, ends = text[0].isupper(), text.endswith((".", "…", "}"))
        phrase = issubclass(error, errors.InvalidInput) and not (begins and "=" not in text)
        if text.endswith(".") if phrase else not (begins and ends):
            wrong.append(f"{place}: {text}")
    assert wrong == []


def test_errors_say_what_to_do_next() -> None:
    mute = [
        f"{message.place}: {message.text}"
        for message in MESSAGES
        if message.error in {errors.Conflict, errors.TooLarge, errors.Unavailable}
        and not _NEXT.search(message.text)
    ]
    assert mute == []


def test_text_is_composed() -> None:
    assert [m.place for m in MESSAGES if not unicodedata.is_normalized("NFC", m.text)] == []


def test_whatever_pydantic_finds_is_said_in_vietnamese() -> None:
    named = dict.fromkeys(("min_length", "max_length", "gt", "ge", "lt", "le", "expected"), "1")
    for kind in set(get_args(ErrorType)) - {"value_error", "assertion_error"}:
        found = {"type": kind, "loc": ("body", "x"), "msg": "Input is wrong", "ctx": named}
        assert VIETNAMESE.search(invalid([found], skip=1).detail), kind


WORKSHOP = re.compile(r"\b(UUID|broker|MQTT|If-(None-)?Match|SQL|retain)\b")
"""Words of those who run the server."""

INTERFACE = re.compile(r"\b(PUT|PATCH|DELETE)\b|: true\b")
"""Words of who calls REST: its description says them, a message that a page shows does not."""

FOR_OFFICIALS = (
    "areas",
    "bulletins",
    "clusters",
    "devices",
    "plays",
    "schedules",
    "stations",
    "web",
)
"""Rooms whose messages reach whoever writes bulletins and reads what became of them."""


def test_officials_are_told_in_their_own_words() -> None:
    told = [each for each in MESSAGES if each.place.startswith(FOR_OFFICIALS)]
    assert len(told) > 300
    assert [each for each in told if WORKSHOP.search(each.text)] == []
    shown = [each for each in told if not each.is_description]
    assert [each for each in shown if INTERFACE.search(each.text)] == []
