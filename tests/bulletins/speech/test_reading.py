"""What a reader says for what an official writes."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from broadcast.bulletins.speech.cleaning import clean
from broadcast.bulletins.speech.lexicon import ABBREVIATIONS, SIGNS, TITLES
from broadcast.bulletins.speech.reading import (
    PartKind,
    Passage,
    parts,
    passages,
    spoken,
    words_of,
)
from broadcast.bulletins.speech.script import script_of
from broadcast.bulletins.speech.syllables import is_syllable
from broadcast.bulletins.speech.units import LETTERS, RATES, SYMBOLS, UNITS
from broadcast.kit.errors import InvalidInput
from tests.bulletins.speech.expected import fits, table

HERE = Path(__file__).parent
Y2024 = "năm hai nghìn không trăm hai mươi bốn"

SPOKEN = {
    # The issue's own examples.
    "UBND": "ủy ban nhân dân",
    "TP": "thành phố",
    "15/12": "ngày mười lăm tháng mười hai",
    "19h30": "mười chín giờ ba mươi phút",
    # Dates, and the word before them that must not be said twice.
    "15/12/2024": f"ngày mười lăm tháng mười hai {Y2024}",
    "ngày 15/12": "ngày mười lăm tháng mười hai",
    "Ngày 20/02/2024": f"ngày hai mươi tháng hai {Y2024}",
    "ngày 09/7/2024": f"ngày mùng chín tháng bảy {Y2024}",
    "ngày 09 tháng 7 năm 2024": f"ngày mùng chín tháng bảy {Y2024}",
    "05/12": "ngày mùng năm tháng mười hai",
    "mùng 5/12": "mùng năm tháng mười hai",
    "15-12-2024": f"ngày mười lăm tháng mười hai {Y2024}",
    "15.12.2024": f"ngày mười lăm tháng mười hai {Y2024}",
    "2024-12-15": f"ngày mười lăm tháng mười hai {Y2024}",
    "1/1/24": f"ngày mùng một tháng một {Y2024}",
    "đêm 30/4": "đêm ngày ba mươi tháng tư",
    "15-20/12": "ngày mười lăm đến ngày hai mươi tháng mười hai",
    "30/4-1/5": "ngày ba mươi tháng tư đến ngày mùng một tháng năm",
    "5 ngày, 15/12": "năm ngày, ngày mười lăm tháng mười hai",
    # Months, quarters, weekdays.
    "01/2024": f"tháng một {Y2024}",
    "tháng 01/2024": f"tháng một {Y2024}",
    "Tháng 12/2024, 40%": f"tháng mười hai {Y2024}, bốn mươi phần trăm",
    "tháng 4": "tháng tư",
    "mỗi tháng 4 lần": "mỗi tháng bốn lần",
    "thứ 4, thứ 2": "thứ tư, thứ hai",
    "quý III/2024": f"quý ba {Y2024}",
    "quý 1/2024": f"quý một {Y2024}",
    # Parts of a whole are no dates.
    "2/3 hộ dân": "hai phần ba hộ dân",
    "hơn 1/2 số hộ": "hơn một phần hai số hộ",
    "khoảng 3/4": "khoảng ba phần tư",
    "39/51 xã": "ba mươi chín trên năm mươi mốt xã",
    "ngày 2/9": "ngày mùng hai tháng chín",
    "tỷ lệ 1/1000": "tỷ lệ một phần một nghìn",
    "nhà số 12/3 đường Lê Lợi": "nhà số mười hai trên ba đường lê lợi",
    "trực 24/7": "trực hai mươi bốn trên bảy",
    "24/24 giờ": "hai mươi bốn trên hai mươi bốn giờ",
    # Times.
    "0h": "không giờ",
    "7g30": "bảy giờ ba mươi phút",
    "lúc 7g": "lúc bảy giờ",
    "500g đường": "năm trăm gam đường",
    "5g muối": "năm gam muối",
    "5h05": "năm giờ năm phút",
    "19:30": "mười chín giờ ba mươi phút",
    "17:00-18:00": "mười bảy giờ đến mười tám giờ",
    "6h00 - 8h30": "sáu giờ đến tám giờ ba mươi phút",
    "trong 48h": "trong bốn mươi tám giờ",
    # Quantities.
    "98%": "chín mươi tám phần trăm",
    "1.000.000 đồng": "một triệu đồng",
    "1,5 km": "một phẩy năm ki lô mét",
    "2.000m2": "hai nghìn mét vuông",
    "2.000 m²": "hai nghìn mét vuông",
    "35°C": "ba mươi lăm độ xê",
    "-5°C": "âm năm độ xê",
    "60km/h": "sáu mươi ki lô mét trên giờ",
    "5 tạ/ha": "năm tạ trên héc ta",
    "50.000đ/kg": "năm mươi nghìn đồng trên ki lô gam",
    "2.000.000đ/người/tháng": "hai triệu đồng một người một tháng",
    "3 lần/ngày": "ba lần một ngày",
    "200-300mm": "hai trăm đến ba trăm mi li mét",
    "15%-20%": "mười lăm phần trăm đến hai mươi phần trăm",
    "3x4m": "ba nhân bốn mét",
    "102,9 MHz": "một trăm linh hai phẩy chín mê ga héc",
    # Ranges.
    "2022 - 2025": "hai nghìn không trăm hai mươi hai đến hai nghìn không trăm hai mươi lăm",
    "2021-2025": "hai nghìn không trăm hai mươi mốt đến hai nghìn không trăm hai mươi lăm",
    "từ 5-7 ngày": "từ năm đến bảy ngày",
    "cấp 12-13": "cấp mười hai đến mười ba",
    # Numbers of documents.
    "148/KH-UBND": "một trăm bốn mươi tám, kế hoạch ủy ban nhân dân",
    "07/2024/NĐ-CP": f"không bảy, {Y2024}, nghị định chính phủ",
    "Quyết định số 184/QĐ-BTTTT": (
        "quyết định số một trăm tám mươi bốn, quyết định bộ thông tin và truyền thông"
    ),
    "41/2024/QH15": f"bốn mươi mốt, {Y2024}, quốc hội mười lăm",
    "12-NQ/TU": "mười hai, nghị quyết tỉnh ủy",
    "39/2020/TT-BTTTT": (
        "ba mươi chín, năm hai nghìn không trăm hai mươi, thông tư bộ thông tin và truyền thông"
    ),
    "05/CT-TTg": "không năm, chỉ thị thủ tướng chính phủ",
    "12/NQ-HĐND": "mười hai, nghị quyết hội đồng nhân dân",
    "15a/QĐ-XYZ": "mười lăm a, quyết định ích xì i dài dét",
    # Telephones.
    "ĐT: 0255.3822.123": "điện thoại, không hai năm năm, ba tám hai hai, một hai ba",
    "SĐT 0912345678": "số điện thoại không chín một hai, ba bốn năm, sáu bảy tám",
    "(0255) 3822 123": "không hai năm năm, ba tám hai hai, một hai ba",
    "+84 912 345 678": "cộng tám bốn, chín một hai, ba bốn năm, sáu bảy tám",
    "1900 8198": "một chín không không, tám một chín tám",
    "gọi 115 hoặc 113": "gọi một một năm hoặc một một ba",
    "có 115 hộ": "có một trăm mười lăm hộ",
    "CCCD 051234567890": ("căn cước công dân không năm một hai ba bốn năm sáu bảy tám chín không"),
    # Roman numerals.
    "Chương II": "chương hai",
    "Điều 5, Mục IV, phần I": "điều năm, mục bốn, phần một",
    "Khóa XIII": "khóa mười ba",
    "thế kỷ XXI": "thế kỷ hai mươi mốt",
    "quý I - II": "quý một đến hai",
    "II. CHỈ TIÊU": "hai. chỉ tiêu",
    "IX. TỔ CHỨC": "chín. tổ chức",
    "1.1. Mục tiêu": "một chấm một. mục tiêu",
    "a) Đối tượng": "a. đối tượng",
    # Abbreviations, by what stands around them.
    "HĐND, QĐ, NQ, NĐ-CP": "hội đồng nhân dân, quyết định, nghị quyết, nghị định chính phủ",
    "CNTT-VT": "công nghệ thông tin, viễn thông",
    "ubnd xã, hđnd tp": "ủy ban nhân dân xã, hội đồng nhân dân thành phố",
    "TT": "thứ tự",
    "TT. La Hà": "thị trấn la hà",
    "TT La Hà": "thị trấn la hà",
    "TT 39": "thông tư ba mươi chín",
    "Sở TT&TT": "sở thông tin và truyền thông",
    "Đài PT&TH tỉnh": "đài phát thanh và truyền hình tỉnh",
    "P. Trần Phú, TX. Đức Phổ": "phường trần phú, thị xã đức phổ",
    "TP. Quảng Ngãi": "thành phố quảng ngãi",
    "QL1A, QL 24B": "quốc lộ một a, quốc lộ hai mươi bốn bê",
    "ĐT.624": "đường tỉnh sáu trăm hai mươi bốn",
    "ĐT 623B": "đường tỉnh sáu trăm hai mươi ba bê",
    "màn hình LED, LCD": "màn hình lét, eo xi đi",
    "đài FM": "đài ép em",
    "Covid-19": "cô vít mười chín",
    "H5N1": "hát năm en nờ một",
    "MQTT": "em mờ quy tê tê",
    "có dây/không dây": "có dây hoặc không dây",
    "viễn thông - công nghệ": "viễn thông, công nghệ",
    "v.v...": "vân vân",
    # Words in capitals are words.
    "AN TOÀN GIAO THÔNG": "an toàn giao thông",
    "ĐỘC LẬP - TỰ DO": "độc lập, tự do",
    # What the eye sees and the ear does not.
    "- Bộ Công an;": "bộ công an",
    "thực hiện./.": "thực hiện.",
    "Xin chào!!! Bà con ơi…": "xin chào! bà con ơi",
    "quangngai.gov.vn": "quangngai chấm gov chấm vê en nờ",
    "mưa lớn — lũ 你好 😀": "mưa lớn, lũ",
    "--------": "",
}


@pytest.mark.parametrize(("written", "said"), SPOKEN.items(), ids=list(SPOKEN))
def test_writing_is_read_as_a_reader_says_it(written: str, said: str) -> None:
    assert spoken(written) == said


def test_section_two_of_the_plan_reads_as_agreed() -> None:
    """Line by line; the golden file was read through by eye, word by word."""
    section = (HERE / "plan_section_ii.txt").read_text(encoding="utf-8")
    agreed = (HERE / "plan_section_ii_spoken.txt").read_text(encoding="utf-8").splitlines()
    read = passages(section)
    assert [line.words for line in read] == agreed
    assert [line.words for line in read if line.is_heading] == [
        f"hai. chỉ tiêu trong {Y2024} và năm hai nghìn không trăm hai mươi lăm",
        "thứ tự",
    ]


def test_a_decomposed_letter_is_read_as_the_composed_one() -> None:
    assert spoken("U\u031b\u0309y ban đi\u0323a ha\u0300nh") == spoken("Ửy ban địa hành")


def test_lines_are_passages_and_short_numbered_ones_headings() -> None:
    text = "THÔNG BÁO\n\n1. Mục đích\nHọp lúc 7h.\n  \n----\n2. Đề nghị bà con có mặt."
    assert [(line.words, line.is_heading) for line in passages(text)] == [
        ("thông báo", True),
        ("một. mục đích", True),
        ("họp lúc bảy giờ.", False),
        ("hai. đề nghị bà con có mặt.", False),
    ]


def read(text: str) -> list[Passage]:
    """Passages of a text; no other refusal than that of an encoding is allowed."""
    try:
        return passages(text)
    except InvalidInput:
        reject()


def test_the_issues_cases_and_their_kinds_are_read_right() -> None:
    """Every row was read through, word by word; a row that fails is named with what was said."""
    rows = [*table("issue.tsv"), *table("readings.tsv")]
    wrong = [
        (kind, text, said, expected)
        for kind, text, expected in rows
        if not fits(said := words_of(text), expected)
    ]
    assert wrong == []
    assert len(rows) > 500


def test_a_mark_after_a_sentence_changes_none_of_its_words() -> None:
    """A number plate at the end of a sentence is still one; list marks are not what ends one."""
    rows = [*table("issue.tsv"), *table("readings.tsv")]
    texts = [
        text
        for kind, text, _ in rows
        if kind != "list-mark" and "\n" not in text and "<" not in text and text[0] not in "-+*•(o"
    ]
    changed = [
        (text, mark, said)
        for text in texts
        for mark in (".", ",", ";", ")")
        if (said := words_of(f"({text}{mark}" if mark == ")" else f"{text}{mark}"))
        != words_of(text)
    ]
    assert changed == []
    assert len(texts) > 500


@pytest.mark.parametrize("name", ["bao", "cat_dien", "thu_tien", "tiem_chung", "tuyen_quan"])
def test_a_bulletin_reads_as_agreed(name: str) -> None:
    written = (HERE / "bulletins" / f"{name}.txt").read_text(encoding="utf-8")
    agreed = (HERE / "bulletins" / f"{name}_spoken.txt").read_text(encoding="utf-8").splitlines()
    assert [line.words for line in passages(written)] == agreed


@given(st.text(max_size=80))
def test_anything_typed_comes_out_as_words_and_pauses(text: str) -> None:
    for line in read(text):
        assert re.fullmatch(r"[^\W\d_]+(?:[,.?!]? [^\W\d_]+)*[.?!]?", line.words), line.words
        assert line.words == line.words.lower()


@given(st.text(alphabet="0123456789 ./-:%hg,IVXTPĐđab°&@(x²½\u0301\n", max_size=40))
def test_no_digit_is_ever_left_to_the_voice(text: str) -> None:
    assert not any(c.isdecimal() for line in read(text) for c in line.words)


@given(st.text(alphabet="123456789 ./-:%hg,IVXTPĐđab°&@(x", max_size=30))
def test_every_number_is_said(text: str) -> None:
    """None but a nought before it or minutes of nought may go unsaid; here there are none."""
    said = " ".join(line.words for line in read(text))
    numbers = len(re.findall(r"\d+", text))
    spoken_digits = re.findall(
        r"\b(?:một|mốt|hai|ba|bốn|tư|năm|lăm|sáu|bảy|tám|chín|mười|mươi|nhất)\b", said
    )
    assert len(spoken_digits) >= numbers


@given(st.text(max_size=60), st.sampled_from(["<p>", "&amp;", "\u200b", "º", "\n", "½", "“", "-"]))
def test_a_clean_text_is_clean(text: str, between: str) -> None:
    try:
        once = clean(between.join((text[:30], text[30:])))
    except InvalidInput:
        reject()
    assert clean(once) == once


@given(st.sampled_from([text for _, text, _ in table("issue.tsv") + table("readings.tsv")]))
def test_composed_and_decomposed_letters_read_alike(text: str) -> None:
    assert words_of(unicodedata.normalize("NFD", text)) == words_of(text)


@pytest.mark.parametrize(
    ("text", "line", "encoding"),
    [
        ("ñy ban nh©n d©n x·", 1, "TCVN3"),
        ("Thông báo\nTh«ng b¸o thu tiÒn", 2, "TCVN3"),
        ("Céng hßa x· héi chñ nghÜa ViÖt Nam", 1, "TCVN3"),
        ("§iÖn lùc th«ng b¸o", 1, "TCVN3"),
        ("Uûy ban nhaân daân xaõ", 1, "VNI"),
        ("A\n\nTHOÂNG BAÙO", 3, "VNI"),
        ("á»¦y ban nhÃ¢n dÃ¢n", 1, "UTF-8"),
        ("Tiáº¿ng Viá»‡t", 1, "UTF-8"),
        ("Nh?n d?n x? th?ng b?o", 1, "?"),
        ("Nh\ufffdn dân", 1, "\ufffd"),
    ],
)
def test_another_encoding_is_refused_with_its_line(text: str, line: int, encoding: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        words_of(text)
    assert refused.value.extra["line"] == line
    assert encoding in refused.value.detail
    assert "Unicode" in refused.value.detail


@pytest.mark.parametrize(
    "text",
    ["café, Müller, São Paulo, Nestlé", "5 μm", "giá «rẻ»", "Đăk Pék", "hỏi: ai? làm gì? ở đâu?",
     "https://a.vn/?x=1&y=2?z", "Ê Đê, Xơ Đăng, Gié Triêng", "10 × 20 ½ §5 ©"],
)  # fmt: skip
def test_what_is_unicode_is_not_taken_for_another_encoding(text: str) -> None:
    assert words_of(text)


def test_a_stations_lexicon_comes_first() -> None:
    readings = {"Đăk Tô": "đắc tô", "ubnd": "văn phòng xã", "QL24": "đường hai bốn"}
    said = words_of("UBND xã Đăk Tô, QL24; Đăk Tôn", readings)
    assert said == "văn phòng xã xã đắc tô đường hai bốn đăk tôn"


def test_what_the_lexicon_says_is_itself_plain_words() -> None:
    for said in (ABBREVIATIONS | SIGNS | TITLES | UNITS | RATES | LETTERS | SYMBOLS).values():
        assert re.fullmatch(r"[^\W\d_]+(?:,? [^\W\d_]+)*", said)
        assert said == said.lower()
        assert all(is_syllable(word) for word in re.findall(r"\w+", said)), said


def _said(text: str, readings: dict[str, str] | None = None) -> str:
    lines = parts(text, readings)
    said = " ".join(part.spoken for line in lines for part in line)
    return " ".join(re.findall(r"[^\W\d_]+", said))


@pytest.mark.parametrize(
    "path", sorted((HERE / "bulletins").iterdir()), ids=lambda path: path.name
)
def test_the_parts_of_a_text_say_what_the_reader_says(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert _said(text) == words_of(text)
    written = ["".join(part.written for part in line) for line in parts(text)]
    assert len(written) == len(passages(text))
    lines = [re.sub(r"\s*\.?/\.?$", ".", line) for line in clean(text).split("\n")]
    assert set(written) <= set(lines)


def test_each_part_tells_where_its_words_come_from() -> None:
    text = "- Xã Đắk Rve: tiêm 98% số bò, 02 (hai) đợt.\n\n***\n\nHết."
    first, last = parts(text, {"Đắk Rve": "đắc rơ ve"})
    assert [(part.written, part.spoken) for part in first if part.kind is PartKind.LEXICON] == [
        ("Đắk Rve", "đắc rơ ve")
    ]
    assert [(part.written, part.spoken) for part in first if part.kind is PartKind.RULE] == [
        ("98%", "chín mươi tám phần trăm"),
        ("02", "hai"),
        ("(hai)", ""),
    ]
    assert [(part.written, part.kind) for part in last] == [("Hết.", PartKind.PLAIN)]


@pytest.mark.parametrize(
    "text",
    [
        "1," * 15_000, "123," * 7_000 + "123x", "<title>" * 4_000, "<!--" * 7_000,
        "<b" * 10_000 + ">" * 10_000, "&amp;" * 6_000 + "lt;b>",
    ],
)  # fmt: skip
def test_a_text_made_to_be_hard_is_read_all_the_same(text: str) -> None:
    """By trying every end of every number or tag each would take minutes."""
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    with contextlib.suppress(InvalidInput):  # too long to be read, or nothing that is read
        assert script_of(text[:29_000])


def test_scripts_styles_and_remarks_are_not_read() -> None:
    long = "mso-style " * 2_000
    text = f"<style>{long}</style>Họp dân<!-- {long} --> lúc 8 giờ<title>x</title> <title>y"
    assert clean(text) == "Họp dân lúc 8 giờ y"
