"""Every message that an answer of REST or a page can hold has its English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

from broadcast import api
from broadcast.auth.routing import Route
from broadcast.console import routes as console
from broadcast.kit.english import (
    LOCALE,
    _Form,
    _forms,
    _part,
    catalogue,
    fill,
    in_english,
    key,
    missing,
)
from tests.project.messages import MESSAGES, VIETNAMESE, Message

ELSEWHERE = {
    r"console/": "words of pages, `console/locale` and `tests/console/test_words.py`; not errors",
    r"(.*/|.*_)?cli\.py|kit/roles\.py|doctor\.py|startup\.py|app\.py|config\.py": "on a terminal",
    r"kit/english\.py": "words that messages are known by",
    r"(demo|embedded|backup|mqtt|ingest|delivery)/|keys/(\w+_store|keyring)\.py|kit/outbound\.py"
    r"|visibility/|enrolment/authority_files\.py|alerts/cap/policy\.py": "on a terminal",
    r"plays/certificate\.py|(inbox|languages)/sheet\.py": "a document of a Vietnamese office",
    r"bulletins/(speech/|audio/framing\.py)": "said by loudspeakers",
}
"""Messages that have no English here, and why."""


def is_refused(message: Message) -> bool:
    """A page refuses something: that is a problem document, as REST's."""
    return message.place.startswith("console/") and message.error is not None


NO_MESSAGES = {
    *("xả lũ", "hồ chứa", "sóng thần", "bão", "áp thấp", "dông", "lốc", "sạt lở", "lở đất", "lũ"),
    *("lụt", "ngập", "động đất", "cháy", "dịch"),  # words that a CAP message is searched for
    *("Thông tin nguồn", "Cảnh báo của hệ thống thông tin nguồn"),  # names of ours
    *("Đài truyền thanh {0}{1}", "đ"),  # what a station is named, a letter
    *("nghỉ lễ", "đi làm bù", "ngày tang", "quốc tang", "ngày thi"),  # titles of events
    *("có", "không"),  # what people write in a file
    "Tiếp âm {0}",  # the title that a schedule is given
}
"""Texts that nobody is told."""


def titles() -> Iterator[tuple[str, str]]:
    """Summaries of the routes that the audit has entries of, with their modules."""
    routers: list[object] = [*api.ROUTERS, *console.ROUTERS]
    for router in routers:
        for route in getattr(router, "routes", ()):
            if isinstance(route, Route) and route.is_recorded():
                yield route.endpoint.__module__, route.summary or ""
            else:
                routers.append(getattr(route, "original_router", route))


SAID = [
    each
    for each in MESSAGES
    if not each.is_description
    and (is_refused(each) or not any(re.match(place, each.place) for place in ELSEWHERE))
    and key(each.text) not in NO_MESSAGES
]


TITLES = sorted(titles())
"""What entries of the audit are called."""


def test_every_message_has_its_english() -> None:
    lacking = [*missing([*((each.place, each.text) for each in SAID), *TITLES])]
    assert not lacking, (
        f"translate these {len(lacking)} into src/broadcast/kit/locale/en/<package>.po (without"
        " spaces, commas and semicolons at either end):\n\n" + "\n".join(lacking)
    )


def test_no_english_is_left_over() -> None:
    said = {key(text) for text in [*(each.text for each in SAID), *(title for _, title in TITLES)]}
    assert catalogue().keys() - said == set()


@pytest.mark.parametrize("path", sorted(LOCALE.glob("*.po")), ids=lambda path: path.name)
def test_a_translation_keeps_the_values(path: Path) -> None:
    with path.open("rb") as file:
        for message in read_po(file):
            if message.id:
                english = str(message.string)
                wanted = sorted(re.findall(r"\{\d+\}", str(message.id)))
                assert sorted(re.findall(r"\{\d+\}", english)) == wanted, message.id


def test_every_message_is_found_again_with_its_values() -> None:
    """Whatever the values are, the message is taken for itself and not for another."""
    wrong = []
    for message, english in catalogue().items():
        count = len(set(re.findall(r"\{\d+\}", message)))
        values = [str(11 + number) for number in range(count)]
        if in_english(message.format(*values)) != fill(english, values):
            wrong.append((message, in_english(message.format(*values))))
    assert wrong == []


@pytest.mark.parametrize(
    ("said", "english"),
    [
        (
            "ends_at: đã qua; hãy chọn ngày trong tương lai",
            "ends_at: is past; choose a day to come",
        ),
        ("Không có bản tin 7.", "There is no bulletin 7."),
        (
            "Mất điện tuyến 471-E16.1: 38 cụm loa, 2 xã, từ 14:02 ngày 02/07/2025",
            "Power cut line 471-E16.1: 38 clusters, 2 communes, since 14:02 on 02/07/2025",
        ),
        (
            "Nhỏ quá: đã tăng 12 dB. Lần sau hãy nói gần micro hơn.",
            "Too quiet: raised by 12 dB. Speak closer to the microphone next time.",
        ),
        ("Bản tin “chờ duyệt” chưa được duyệt.", "The bulletin “chờ duyệt” is not approved yet."),
        ("mất liên lạc từ 02:10 02/07/2025", "out of contact since 02:10 02/07/2025"),
        (
            "11,4 % (thiết bị tự báo 1,0 %, xác nhận 10,4 %, chưa chứng minh 0,0 %)",
            "11.4 % (the device reports 1.0 %, confirmation 10.4 %, not proven 0.0 %)",
        ),
        (
            "Đã phát ở 2 trong 9 thôn, tổ dân phố; Thôn 1 không phát (thiết bị mất điện).",
            "Sounded in 2 of 9 villages; Thôn 1 not played (the device had no power).",
        ),
        (
            "Đã phát lúc 15:12:38 (muộn 0,0 giây), được 26,1/26,1 giây.",
            "Sounded at 15:12:38 (late 0.0 seconds), 26.1/26.1 seconds of it.",
        ),
        (
            "Buổi phát 5:00 Chủ nhật 1/12 ở 2 thôn (9 cụm loa) chuyển sang 5:00 thứ Sáu 4/12.",
            "The broadcast 5:00 Sunday 1/12 in 2 villages (9 clusters) moves to 5:00 Friday 4/12.",
        ),
        (
            "Đã phát ở 1 trong 1 thôn, tổ dân phố; Thôn 1 không phát (thiết bị mất điện).",
            "Sounded in 1 of 1 village; Thôn 1 not played (the device had no power).",
        ),
        ("Còn 1 cụm mất liên lạc", "1 cluster is still away"),
        ("Còn 1.200 cụm mất liên lạc", "1,200 clusters are still away"),
        ("Đinh Thị Hoa", "Đinh Thị Hoa"),
        ("", ""),
    ],
)
def test_what_several_messages_say_is_put_into_english(said: str, english: str) -> None:
    assert in_english(said) == english


def test_english_has_no_vietnamese_but_names() -> None:
    names = r"“[^”]*”|\(Tết\)|Hùng|QĐ-BTTTT|KH-UBND|Quảng Ngãi"
    vietnamese = [
        english
        for english in catalogue().values()
        if VIETNAMESE.search(re.sub(names, "", english))
    ]
    assert vietnamese == []


COUNTED = (
    r"(bulletin|broadcast|character|cluster|commune|day|device|entrie|file|hour|item|line|message"
    r"|minute|point|refusal|role|row|schedule|second|session|time|token|unit|village)s"
)


def test_one_thing_is_not_many() -> None:
    filled = [fill(each, ["1"] * 9) for each in catalogue().values()]
    assert [
        each
        for each in filled
        if re.search(rf"(?<!/)\b1 ((more|other|earlier|new|valid) )?{COUNTED}\b", each)
    ] == []


def test_text_that_is_no_message_is_tried_piece_by_piece_once() -> None:
    text = "; ".join(f"name{each}: value {each} of x, y" for each in range(12))
    before = _part.cache_info().misses
    assert in_english(text) == text
    spaces = text.count(" ")
    assert _part.cache_info().misses - before < spaces**2 / 2


SOUNDS = st.lists(
    st.sampled_from(["a", ":", " ", "xã", " thôn", "1", "; ", ". "]), max_size=12
).map("".join)


@given(st.sampled_from(_forms()), st.data())
def test_values_are_found_as_by_the_shortest_match(form: _Form, data: st.DataObject) -> None:
    values = [data.draw(SOUNDS) for _ in form.names]
    text = "".join(w + v for w, v in zip(form.words, [*values, ""], strict=True))
    pattern = "(.*?)".join(map(re.escape, form.words))
    match = re.fullmatch(pattern, text, re.DOTALL)
    assert match is not None
    fits = form.first is None or form.first.fullmatch(match[1])
    expected = dict(zip(form.names, match.groups(), strict=True)) if fits else None
    assert form.values(text) == expected


def test_a_text_made_to_be_hard_is_left_as_it_is() -> None:
    """By trying every place of every colon this would take hours."""
    for count in (30, 150):
        text = f"{':' * count}{' ngày ' * count}/"
        assert in_english(text) == text
    long = "Không có bản tin 1. " * 500
    assert in_english(long) == long
