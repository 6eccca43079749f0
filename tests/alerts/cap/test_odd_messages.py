"""Messages as they go wrong in practice, each taken or refused for the right reason."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from broadcast.alerts.cap.judge import Action, judge
from broadcast.alerts.cap.reading import MAX_BYTES, Unreadable
from tests.alerts.cap.messages import (
    HALF,
    NOW,
    SENDER,
    SQUARE,
    alert,
    area,
    here,
    info,
    policy,
    references,
)


class Odd(NamedTuple):
    data: bytes
    action: Action
    reason: str
    """A part of the reasons."""
    codes: str = ""


def _geocode(value: str, name: str = "VN-DVHC") -> str:
    return f"<geocode><valueName>{name}</valueName><value>{value}</value></geocode>"


def _at(shape: str, **more: str) -> bytes:
    return alert(info(areas=area(shape), **more))


def _polygon(points: str) -> bytes:
    return _at(f"<polygon>{points}</polygon>")


def _zigzag(points: int) -> str:
    """A ring that crosses itself at every step."""
    steps = [f"15.{9 * (n % 2)},{108 + n % (points // 2) / points:.6f}" for n in range(points)]
    return f"<polygon>{' '.join((*steps, steps[0]))}</polygon>"


def _circles(count: int) -> str:
    return "".join(f"<circle>15.05,108.05 {1 + n / 10_000:.4f}</circle>" for n in range(count))


R, P, B, K = Action.REFUSE, Action.PROPOSE, Action.BULLETIN, Action.RECORD

ODD = {
    # as it should be
    "sound": Odd(alert(), P, "khẩn cấp", "0000a"),
    "severe and likely": Odd(alert(info(grades="Immediate Severe Likely")), P, "Severe", "0000a"),
    "latin-1": Odd(
        alert(begin='<?xml version="1.0" encoding="ISO-8859-1"?>', infos=info(text=""))
        .decode().replace("Lũ quét", "Crue").replace("Xã", "Xa").encode("latin-1"),
        P, "khẩn cấp", "0000a",
    ),
    "byte order mark": Odd(b"\xef\xbb\xbf" + alert(), P, "khẩn cấp", "0000a"),
    "utf-16": Odd(
        alert(begin='<?xml version="1.0" encoding="UTF-16"?>').decode().encode("utf-16"),
        P, "khẩn cấp", "0000a",
    ),
    "stylesheet": Odd(
        alert(begin="<?xml version='1.0'?><?xml-stylesheet href='http://a.vn/b.xsl'?>"),
        P, "khẩn cấp", "0000a",
    ),
    "prefixed names": Odd(
        re.sub(rb"<(/?)(\w)", rb"<\1cap:\2", alert()).replace(b" xmlns=", b" xmlns:cap="),
        P, "khẩn cấp", "0000a",
    ),
    "comments within": Odd(
        alert(info(areas=area("<!-- xã --><polygon>" + SQUARE + "<!-- hết --></polygon>"))),
        P, "khẩn cấp", "0000a",
    ),
    "empty optional elements": Odd(
        alert(references="<restriction/><addresses/><note/><references/><incidents/>"),
        P, "khẩn cấp", "0000a",
    ),
    # not a message
    "not XML": Odd(b"ALERT: flood", R, "không phải XML"),
    "empty": Odd(b" \n", R, "tệp rỗng"),
    "cut off": Odd(alert()[:-20], R, "không phải XML"),
    "raw ampersand": Odd(alert(info(text="<headline>A & B</headline>")), R, "không phải XML"),
    "wrong encoding": Odd(
        alert().decode().replace("ũ", "é").encode("latin-1", "replace"), R, "không phải XML"
    ),
    "too large": Odd(alert(end=f"<!--{'x' * MAX_BYTES}-->"), R, "lớn hơn"),
    "document type": Odd(
        alert(begin='<!DOCTYPE alert SYSTEM "http://a.vn/cap.dtd">'), R, "DOCTYPE"
    ),
    "external entity": Odd(
        alert(
            info(text="<headline>&f;</headline>"),
            begin='<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]>',
        ),
        R, "DOCTYPE",
    ),
    "entity bomb": Odd(
        alert(
            info(text="<headline>&c;</headline>"),
            begin='<!DOCTYPE a [<!ENTITY a "lol"><!ENTITY b "' + "&a;" * 50 + '"><!ENTITY c "'
            + "&b;" * 50 + '">]>',
        ),
        R, "DOCTYPE",
    ),
    "too deep": Odd(alert("<a>" * 300 + "</a>" * 300), R, "không phải XML"),
    "CAP 1.1": Odd(alert(namespace="urn:oasis:names:tc:emergency:cap:1.1"), R, "CAP 1.1"),
    "no namespace": Odd(alert().replace(b' xmlns="urn', b' title="urn'), R, "không gian tên"),
    "a feed": Odd(b'<feed xmlns="http://www.w3.org/2005/Atom"/>', R, "danh mục"),
    "a page": Odd(b"<html><body>404</body></html>", R, "phần tử gốc"),
    # against the schema
    "no scope": Odd(alert(scope=""), R, "<scope>"),
    "wrong order": Odd(
        alert(info(head="<event>Lũ</event><category>Met</category>")), R, "<category>"
    ),
    "no category": Odd(alert(info(head="<event>Lũ</event>")), R, "<category>"),
    "Z for a zone": Odd(alert(sent="2026-11-29T04:55:00Z"), R, "chữ Z"),
    "fraction of a second": Odd(alert(sent="2026-11-29T11:55:00.123+07:00"), R, "phần lẻ"),
    "no zone": Odd(alert(sent="2026-11-29T11:55:00"), R, "múi giờ"),
    "a day that is none": Odd(alert(sent="2026-02-30T11:55:00+07:00"), R, "<sent>"),
    "24 o'clock": Odd(alert(sent="2026-11-28T24:00:00+07:00"), R, "<sent>"),
    "grade in Vietnamese": Odd(
        alert().replace(b"<urgency>Immediate", "<urgency>Khẩn cấp".encode()), R, "Expected, Future"
    ),
    "grade in small letters": Odd(alert(status="actual"), R, "Actual, Exercise"),
    "empty grade": Odd(alert().replace(b">Extreme<", b"><"), R, "<severity>"),
    "category that is none": Odd(
        alert(info(head="<category>Weather</category><event>Lũ</event>")), R, "Geo, Met"
    ),
    "element of its own": Odd(alert(end="<x:more xmlns:x='urn:x'/>"), R, "<more>"),
    "area without a name": Odd(
        alert(info(areas=f"<area><polygon>{SQUARE}</polygon></area>")), R, "<areaDesc>"
    ),
    # against the words of the standard
    "empty identifier": Odd(alert(identifier="<identifier/>"), R, "<identifier>: để trống"),
    "comma in the identifier": Odd(
        alert(identifier="<identifier>a,b</identifier>"), R, "dấu phẩy"
    ),
    "space in the sender": Odd(alert(sender="<sender>Đài KTTV</sender>"), R, "khoảng trắng"),
    "empty event": Odd(
        alert(info(head="<category>Met</category><event> </event>")), R, "<event>: để trống"
    ),
    "update of nothing": Odd(alert(kind="Update"), R, "<references>"),
    "references without a time": Odd(
        alert(kind="Update", references=f"<references>{SENDER},1</references>"), R, "nơi gửi,mã"
    ),
    "references with a Z": Odd(
        alert(
            kind="Cancel",
            references=f"<references>{SENDER},1,2026-11-29T05:00:00+25:00</references>",
        ),
        R, "<references>",
    ),
    "over before it began": Odd(
        alert(info(times="<onset>2026-11-30T05:00:00+07:00</onset>"
                         "<expires>2026-11-29T15:00:00+07:00</expires>")),
        R, "trước lúc bắt đầu",
    ),
    "latitude and longitude swapped": Odd(
        _polygon("108.0,15.0 108.1,15.0 108.1,15.1 108.0,15.0"), R, "đổi chỗ"
    ),
    "space after the comma": Odd(
        _polygon("15.0, 108.0 15.0, 108.1 15.1, 108.1 15.0, 108.0"), R, "không phải điểm"
    ),
    "metres": Odd(_polygon("1660000,590000 1660000,600000 1670000,600000 1660000,590000"),
                  R, "ngoài trái đất"),
    "two points": Odd(_polygon("15.0,108.0 15.1,108.1 15.0,108.0"), R, "ít nhất 3 điểm"),
    "not a number": Odd(_polygon("NaN,108.0 15,108.1 15.1,108.1 15,108"), R, "không phải điểm"),
    "degrees and minutes": Odd(_at("<circle>15°07',108°48' 20</circle>"), R, "<circle>"),
    "circle without a radius": Odd(_at("<circle>15.05,108.05</circle>"), R, "bán kính"),
    "negative radius": Odd(_at("<circle>15.05,108.05 -5</circle>"), R, "bán kính"),
    "language that is none": Odd(
        alert(info(language="<language>tiếng Việt</language>")), R, "<language>"
    ),
    "all faults at once": Odd(
        alert(
            info(areas=area("<circle>x</circle>"), head="<category>Met</category><event/>"),
            identifier="<identifier>a b</identifier>",
        ),
        R, "<event>",
    ),
    # who and for whom
    "stranger": Odd(alert(sender="<sender>ai@do.vn</sender>"), R, "danh sách nơi phát"),
    "sender in other letters": Odd(
        alert(sender=f"<sender>{SENDER.upper()}</sender>"), R, "danh sách nơi phát"
    ),
    "restricted": Odd(
        alert(scope="<scope>Restricted</scope><restriction>quân đội</restriction>"), R, "<scope>"
    ),
    "restricted to nobody": Odd(alert(scope="<scope>Restricted</scope>"), R, "<restriction>"),
    "private": Odd(
        alert(scope="<scope>Private</scope><addresses>ubnd</addresses>"), R, "<scope>"
    ),
    "private without addresses": Odd(alert(scope="<scope>Private</scope>"), R, "<addresses>"),
    # what kind
    "draft": Odd(alert(status="Draft"), R, "dự thảo"),
    "test": Odd(alert(status="Test"), K, "không phát"),
    "test of the gravest": Odd(alert(info(), status="Test", kind="Alert"), K, "status Test"),
    "system": Odd(alert(status="System"), K, "nội bộ"),
    "exercise": Odd(alert(status="Exercise"), Action.DRILL, "diễn tập", "0000a"),
    "acknowledgement": Odd(alert("", kind="Ack", references=references("1")), K, "xác nhận"),
    "error": Odd(alert("", kind="Error", references=references("1")), K, "báo lỗi"),
    "cancel": Odd(alert("", kind="Cancel", references=references("1")), Action.CANCEL, "hủy 1"),
    "cancel of a stranger's": Odd(
        alert("", kind="Cancel", references=references("1", sender="b@c.vn")), R, "của mình"
    ),
    "update": Odd(alert(kind="Update", references=references("1", "2")), P, "khẩn cấp", "0000a"),
    "all clear": Odd(
        alert(
            info(head="<category>Met</category><event>Lũ</event>"
                      "<responseType>AllClear</responseType>"),
            kind="Update", references=references("1"),
        ),
        B, "đã qua", "0000a",
    ),
    "past": Odd(alert(info(grades="Past Extreme Observed")), B, "đã qua", "0000a"),
    "moderate": Odd(alert(info(grades="Immediate Moderate Observed")), B, "Moderate", "0000a"),
    "possible": Odd(alert(info(grades="Immediate Extreme Possible")), B, "Possible", "0000a"),
    "unknown": Odd(alert(info(grades="Unknown Unknown Unknown")), B, "chưa đến mức", "0000a"),
    "nothing to tell": Odd(alert(""), R, "<info>"),
    # when
    "stale": Odd(
        alert(info(times="<expires>2026-11-29T11:59:59+07:00</expires>")), R, "hết hiệu lực"
    ),
    "ends now": Odd(
        alert(info(times="<expires>2026-11-29T12:00:00+07:00</expires>")), R, "hết hiệu lực"
    ),
    "no end, of yesterday": Odd(
        alert(info(times=""), sent="2026-11-28T11:59:00+07:00"), R, "hết hiệu lực"
    ),
    "no end, of today": Odd(alert(info(times="")), P, "khẩn cấp", "0000a"),
    "from the future": Odd(alert(sent="2026-11-29T12:11:00+07:00"), R, "tương lai"),
    "a clock that is fast": Odd(alert(sent="2026-11-29T12:09:00+07:00"), P, "khẩn", "0000a"),
    "end of time": Odd(
        alert(info(times="<expires>9999-12-31T23:59:59-14:00</expires>")), R, "<expires>"
    ),
    "one info stale, one not": Odd(
        alert(info(times="<expires>2026-11-29T11:00:00+07:00</expires>")
              + info(areas=area(_geocode("0000b")))),
        P, "khẩn cấp", "0000b",
    ),
    # where
    "no area": Odd(alert(info(areas="")), R, "không nêu vùng"),
    "only a name": Odd(_at(""), R, "chỉ có tên"),
    "elsewhere": Odd(_at("<circle>42.3,-82.9 50</circle>"), R, "không có thôn nào"),
    "another province": Odd(_at(_geocode("00048")), R, "ngoài tỉnh"),
    "codes of others": Odd(_at(_geocode("AKZ185", "UGC")), R, "loại UGC"),
    "code that is none": Odd(_at(_geocode("99999")), R, "không phải mã đơn vị"),
    "commune by code": Odd(_at(_geocode(" 0000b ")), P, "khẩn cấp", "0000b"),
    "village by code": Odd(_at(_geocode("b2", "vn-dvhc")), P, "khẩn cấp", "b2"),
    "province by code": Odd(_at(_geocode("51")), P, "khẩn cấp", "51"),
    "before the merger": Odd(_at(_geocode("0old1")), P, "nay là", "0000a"),
    "divided by the merger": Odd(_at(_geocode("0old2")), P, "nay là", "0000a 0000b"),
    "ended for good": Odd(_at(_geocode("0lost")), R, "không có đơn vị thay thế"),
    "half a commune": Odd(_polygon(HALF), P, "1 thôn chưa có tọa độ", "a1 a3"),
    "clockwise": Odd(_polygon(" ".join(reversed(SQUARE.split()))), P, "khẩn cấp", "0000a"),
    "left open": Odd(_polygon(SQUARE.rpartition(" ")[0]), P, "khẩn cấp", "0000a"),
    "bow-tie": Odd(
        _polygon("15.0,108.0 15.1,108.1 15.0,108.1 15.1,108.0 15.0,108.0"), P, "tự cắt", "0000a"
    ),
    "no breadth": Odd(_polygon("15.0,108.0 15.1,108.0 15.2,108.0 15.0,108.0"),
                      R, "không có diện tích"),
    "over the antimeridian": Odd(
        _polygon("10,100 20,100 20,-170 10,-170 10,100"), P, "khẩn cấp", "51"
    ),
    "away over the antimeridian": Odd(
        _polygon("10,170 20,170 20,-170 10,-170 10,170"), R, "không có thôn nào"
    ),
    "the whole earth": Odd(
        _polygon("-90,-180 90,-180 90,180 -90,180 -90,-180"), P, "khẩn cấp", "51"
    ),
    "a circle over everything": Odd(_at("<circle>0,0 20040</circle>"), P, "khẩn cấp", "51"),
    "an epicentre": Odd(_at("<circle>15.05,108.02 0</circle>"), P, "dưới 1 km", "a1 a3"),
    "a circle around a village": Odd(_at("<circle>15.05,108.15 1.5</circle>"), P, "khẩn", "0000b"),
    "brushes the neighbour": Odd(
        _polygon("15.0,108.0 15.0,108.2005 15.1,108.2005 15.1,108.0 15.0,108.0"),
        P, "khẩn cấp", "0000a 0000b",
    ),
    "many circles": Odd(_at(_circles(1000)), P, "khẩn cấp", "a3"),
    "more circles than anybody draws": Odd(_at(_circles(1001)), R, "<circle>: có hơn 1000 hình"),
    "more polygons than anybody draws": Odd(
        _at("".join(f"<polygon>15,108 15.1,108 15.1,{108.1 + n / 10_000:.4f} 15,108</polygon>"
                    for n in range(1001))),
        R, "<polygon>: có hơn 1000 hình",
    ),
    "the same shapes in two languages": Odd(
        alert(info(areas=area(_circles(600)))
              + info(areas=area(_circles(600), "Commune A"), language="<language>en</language>")),
        P, "khẩn cấp", "a3",
    ),
    "crosses itself at every step": Odd(_at(_zigzag(1200)), R, "<polygon>: đường ranh tự cắt"),
    "two that cross themselves": Odd(
        _at(_zigzag(800) + _zigzag(802)), R, "<polygon>: đường ranh tự cắt"
    ),
    "union of shape and code": Odd(
        _at(f"<polygon>{SQUARE}</polygon>{_geocode('0000c')}"), P, "khẩn", "0000a 0000c"
    ),
    "all communes": Odd(
        _polygon("14,107 14,109 16,109 16,107 14,107"), P, "khẩn cấp", "51"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_an_odd_message_is_taken_or_refused_for_its_reason(name: str) -> None:
    data, action, reason, codes = ODD[name]
    try:
        verdict = judge(data, policy(), here(), NOW).verdict
    except Unreadable as error:
        found, said, places = R, str(error), ""
    else:
        found, said = verdict.action, " | ".join(verdict.reasons)
        places = " ".join(verdict.codes)
    assert (found, places) == (action, codes), said
    assert reason in said


def test_there_are_more_than_fifty() -> None:
    assert len(ODD) > 100


def test_every_fault_is_told_at_once() -> None:
    verdict = judge(ODD["all faults at once"].data, policy(), here(), NOW).verdict
    assert [reason.partition(":")[0] for reason in verdict.reasons] == [
        "<identifier>",
        "<event>",
        "<circle>",
    ]
