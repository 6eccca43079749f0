"""What the command line says of a text."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from broadcast.cli import app


def test_a_list_of_texts_gives_the_list_of_their_words() -> None:
    texts = ["Họp lúc 19h00.", "Th«ng b¸o", 5, "", "<p>UBND xã</p>"]
    result = CliRunner().invoke(app, ["speech", "words", "--json"], input=json.dumps(texts))
    assert result.exit_code == 0
    assert json.loads(result.stdout) == [
        "họp lúc mười chín giờ", None, None, "", "ủy ban nhân dân xã",
    ]  # fmt: skip
    assert "Văn bản 2" in result.stderr
    assert "TCVN3" in result.stderr
    assert "Văn bản 3" in result.stderr


def test_a_file_gives_a_passage_a_line(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("THÔNG BÁO\n\nHọp lúc 7h.", encoding="utf-8-sig")
    result = CliRunner().invoke(app, ["speech", "words", str(file)])
    assert result.stdout.splitlines() == ["thông báo", "họp lúc bảy giờ."]


def test_what_is_no_text_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes("Một\nHai".encode() + b"\n\xc0\xc0")
    result = CliRunner().invoke(app, ["speech", "words", str(file)])
    assert result.exit_code == 1
    assert "dòng 3" in result.output
    for wrong in ("{", '{"a": 1}'):
        assert CliRunner().invoke(app, ["speech", "words", "--json"], input=wrong).exit_code == 1
