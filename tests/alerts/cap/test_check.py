"""`broadcast alerts check`, as typed, in the real units of Quảng Ngãi."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from broadcast.alerts.cap import cli
from broadcast.areas import cli as area_commands
from broadcast.kit import clock
from tests.alerts.cap.messages import alert, area, info

AT = "2026-11-29T12:00:00"


def geocode(code: str) -> str:
    return f"<geocode><valueName>VN-DVHC</valueName><value>{code}</value></geocode>"


@pytest.fixture
def folder(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "cap.toml"
    path.write_text('[[issuer]]\nsender = "canhbao@kttv.vn"\nname = "Đài khí tượng"\n')
    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", postgres_dsn)
    monkeypatch.setenv("BROADCAST_CAP__FILE", str(path))
    assert CliRunner().invoke(area_commands.app, ["import", "--official"]).exit_code == 0
    messages = {
        "merged.xml": alert(info(areas=area(geocode("21286")))),
        "lyson.xml": alert(info(areas=area("<circle>15.38,109.11 6</circle>", "Lý Sơn"))),
        "draft.xml": alert(status="Draft"),
        "page.html": b"<p>404",
    }
    for name, data in messages.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def typed(folder: Path, *names: str) -> Result:
    files = [name if name.startswith("--") else str(folder / name) for name in names]
    return CliRunner().invoke(cli.app, ["check", "--at", AT, *files])


def test_each_message_is_told_in_plain_words_and_the_worst_decides(folder: Path) -> None:
    taken = typed(folder, "merged.xml", "lyson.xml")
    assert taken.exit_code == 0, taken.output
    assert "NHẬN: lập lệnh khẩn cấp, chờ người thứ hai duyệt" in taken.output
    assert "Nơi phát: Đài khí tượng" in taken.output
    assert "21286) không còn, nay là" in taken.output
    assert "Xã Vệ Giang" in taken.output
    assert "Đặc khu Lý Sơn" in taken.output
    refused = typed(folder, "merged.xml", "draft.xml")
    assert refused.exit_code == 1
    assert "TỪ CHỐI" in refused.output
    assert "Vì: <status>: Draft là dự thảo" in refused.output
    unreadable = typed(folder, "draft.xml", "page.html")
    assert unreadable.exit_code == 2
    assert "KHÔNG ĐỌC ĐƯỢC" in unreadable.output


def test_the_units_are_those_of_the_day_here_after_midnight(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2025, 6, 30, 18, 0, tzinfo=UTC))
    times = "<expires>2025-07-01T15:00:00+07:00</expires>"
    data = alert(info(areas=area(geocode("21286")), times=times), sent="2025-07-01T00:55:00+07:00")
    (folder / "night.xml").write_bytes(data)
    result = CliRunner().invoke(cli.app, ["check", str(folder / "night.xml")])
    assert "21286) không còn, nay là" in result.output, result.output


def test_json_has_the_same(folder: Path) -> None:
    result = typed(folder, "--json", "lyson.xml", "page.html")
    assert result.exit_code == 2
    island, page = json.loads(result.output)
    assert (island["action"], island["identifier"]) == ("propose", "VN-KTTV-2026-0001")
    assert island["languages"] == ["vi-VN"]
    assert island["areas"] == ["21548"]
    assert page["action"] is None
