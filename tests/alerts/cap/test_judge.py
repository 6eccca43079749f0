"""Languages, times and the configurable table of what is an emergency."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from broadcast.alerts.cap import policy as policies
from broadcast.alerts.cap.judge import Action, judge
from broadcast.alerts.cap.message import Certainty
from broadcast.kit.errors import InvalidInput
from tests.alerts.cap.messages import (
    NOW,
    SENDER,
    Authority,
    alert,
    area,
    here,
    info,
    policy,
    references,
)


def _language(tag: str, headline: str) -> str:
    return info(language=f"<language>{tag}</language>", text=f"<headline>{headline}</headline>")


def test_texts_come_in_the_order_that_the_province_wants() -> None:
    data = alert(_language("en", "Flood") + _language("hre", "Đak") + _language("vi-VN", "Lũ"))
    texts = judge(data, policy(), here(), NOW).verdict.texts
    assert [(text.language, text.headline) for text in texts] == [("vi-VN", "Lũ"), ("hre", "Đak")]


def test_another_language_is_better_than_silence() -> None:
    data = alert(_language("fr", "Crue") + _language("en", "Flood"))
    texts = judge(data, policy(), here(), NOW).verdict.texts
    assert [text.language for text in texts] == ["fr"]


def test_infos_of_one_language_are_read_one_after_the_other() -> None:
    data = alert(_language("vi", "Lũ ở A") + _language("vi", "Lũ ở B"))
    (text,) = judge(data, policy(), here(), NOW).verdict.texts
    assert text.body == "Lũ ở A\nLũ ở B"


def test_a_headline_is_one_line_however_its_document_wraps_it() -> None:
    data = alert(_language("vi", "Lũ quét\n      ở Trà Bồng\u2028đêm nay"))
    (text,) = judge(data, policy(), here(), NOW).verdict.texts
    assert text.headline == text.body == "Lũ quét ở Trà Bồng đêm nay"


def test_one_language_with_two_tags_is_one() -> None:
    data = alert(_language("vi", "Lũ ở A") + _language("hre-VN", "Đak") + _language("vi-VN", "B"))
    texts = judge(data, policy(), here(), NOW).verdict.texts
    assert [(text.language, text.body) for text in texts] == [
        ("vi", "Lũ ở A\nB"),
        ("hre-VN", "Đak"),
    ]


def test_only_the_grave_part_becomes_an_emergency() -> None:
    code = area("<geocode><valueName>VN-DVHC</valueName><value>0000b</value></geocode>")
    data = alert(info(grades="Expected Minor Possible", areas=code) + info())
    verdict = judge(data, policy(), here(), NOW).verdict
    assert (verdict.action, verdict.codes) == (Action.PROPOSE, ("0000a",))


def test_what_is_grave_elsewhere_does_not_hide_what_is_for_here() -> None:
    code = area("<geocode><valueName>VN-DVHC</valueName><value>0000b</value></geocode>")
    abroad = area("<circle>42.3,-82.9 50</circle>")
    data = alert(info(areas=abroad) + info(grades="Expected Minor Possible", areas=code))
    verdict = judge(data, policy(), here(), NOW).verdict
    assert (verdict.action, verdict.codes) == (Action.BULLETIN, ("0000b",))


@pytest.mark.parametrize(
    ("effective", "starts_at"),
    [
        ("", "2026-11-29T11:55:00+07:00"),
        ("<effective>2026-11-29T12:10:00+07:00</effective>", "2026-11-29T12:10:00+07:00"),
    ],
)
def test_people_are_warned_before_the_event_begins(effective: str, starts_at: str) -> None:
    times = "<onset>2026-11-29T13:00:00+07:00</onset><expires>2026-11-29T15:00:00+07:00</expires>"
    verdict = judge(alert(info(times=effective + times)), policy(), here(), NOW).verdict
    assert verdict.starts_at == datetime.fromisoformat(starts_at)
    assert verdict.ends_at == datetime.fromisoformat("2026-11-29T15:00:00+07:00")


UPDATE = {"kind": "Update", "references": references("1", "2")}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (alert(info(areas=area("<circle>42.3,-82.9 50</circle>")), **UPDATE), "không có thôn nào"),
        (
            alert(info(times="<expires>2026-11-29T11:00:00+07:00</expires>"), **UPDATE),
            "đã hết hiệu lực",
        ),
        (alert("", **UPDATE), "không có nội dung nào"),
    ],
)
def test_an_update_that_tells_nobody_here_anything_ends_what_it_replaces(
    data: bytes, why: str
) -> None:
    verdict = judge(data, policy(), here(), NOW).verdict
    assert verdict.action is Action.CANCEL
    assert [each.identifier for each in verdict.ends] == ["1", "2"]
    assert verdict.reasons[0] == "thay và kết thúc 2 bản tin trước của nơi phát này"
    assert why in verdict.reasons[1]


def test_an_update_ends_only_what_its_sender_sent() -> None:
    both = references("1").replace(
        "</references>", " x@y.vn,2,2026-11-29T10:00:00+07:00</references>"
    )
    verdict = judge(alert(kind="Update", references=both), policy(), here(), NOW).verdict
    assert [each.key for each in verdict.ends] == [(SENDER, "1")]


# --- the file ------------------------------------------------------------------------------------

FILE = """
languages = ["vi", "hre"]
geocodes = ["VN-DVHC", "MA_XA"]

[emergency]
certainty = ["Observed"]

[[issuer]]
sender = "canhbao@kttv.vn"
name = "Đài khí tượng"
certificates = "Authority.pem"

[[issuer]]
sender = "pctt@tinh.vn"
name = "Ban chỉ huy"
"""


def test_the_file_names_whose_and_what(tmp_path: Path) -> None:
    anchor = Authority(tmp_path).anchor
    path = tmp_path / "cap.toml"
    path.write_text(FILE)
    read = policies.load(path)
    first, second = read.issuers
    assert first.anchor == anchor
    assert second.anchor is None
    assert read.certainties == {Certainty.OBSERVED}
    verdict = judge(
        alert(info(grades="Immediate Extreme Likely"), sender="<sender>pctt@tinh.vn</sender>"),
        read, here(), NOW,
    ).verdict  # fmt: skip
    assert verdict.action is Action.BULLETIN


def test_without_a_file_nobody_is_believed() -> None:
    assert policies.load(None).issuers == ()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[[issuer", "cap.toml"),
        ('[[issuer]]\nsender = "a"', "issuer.0.name"),
        ('[[issuer]]\nsender = "a"\nname = "A"\ntrust = true', "issuer.0.trust"),
        ('[[issuer]]\nsender = "a"\nname = "A"\ncertificates = "cap.toml"', "certificates"),
        ('[[issuer]]\nsender = "a"\nname = "A"\n' * 2, "sender"),
        ('[emergency]\nurgency = ["Soon"]', "emergency.urgency.0"),
        ("geocodes = []", "geocodes"),
    ],
)
def test_a_wrong_file_is_refused_with_the_key(tmp_path: Path, text: str, field: str) -> None:
    path = tmp_path / "cap.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput) as refused:
        policies.load(path)
    assert refused.value.field == field
