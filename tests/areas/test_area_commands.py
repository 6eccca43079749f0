"""`broadcast areas …` and `broadcast stations …`, as typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from broadcast.areas import cli
from broadcast.devices import cli as device_commands
from broadcast.kit.errors import InvalidInput
from broadcast.stations import cli as station_commands
from tests.stations import sample

DATA = Path(cli.__file__).parent / "data"


@pytest.fixture
def run(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", postgres_dsn)
    monkeypatch.setenv("COLUMNS", "200")
    return CliRunner()


def areas(run: CliRunner, *arguments: str | Path) -> Result:
    return run.invoke(cli.app, [str(argument) for argument in arguments])


def test_units_are_imported_counted_and_traced(run: CliRunner) -> None:
    result = areas(run, "import", DATA / "areas.csv", DATA / "lineage.csv", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "682 thêm, 0 sửa, 0 bỏ, 0 giữ nguyên; chưa ghi gì" in result.output
    assert "173" not in areas(run, "count", "--on", "2024-07-09").output
    assert "682 thêm" in areas(run, "import", "--official").output
    assert "682 giữ nguyên" in areas(run, "import", "--official").output
    assert "173" in areas(run, "count", "--on", "2024-07-09").output
    assert "170" in areas(run, "count", "--on", "2025-01-04").output
    assert "96" in areas(run, "count", "--on", "2025-07-01").output
    for day in ("9999-12-31", "2025-02-29", "0"):
        assert "phải là ngày" in areas(run, "count", "--on", day).output
    traced = areas(run, "trace", "21286", "--since", "2024-07-09", "--on", "2025-07-01")
    assert "Xã Vệ Giang" in traced.output
    assert "whole" in traced.output


def test_a_province_is_loaded_by_its_code(run: CliRunner) -> None:
    assert "57 thêm" in areas(run, "load", "--province", "04").output
    assert "97 thêm" in areas(run, "load", "--province", "51").output
    assert "giữ nguyên" in areas(run, "load").output


def test_faults_are_shown_as_a_table(run: CliRunner, tmp_path: Path) -> None:
    path = tmp_path / "areas.csv"
    path.write_text("code,level,kind,name,parent_code,valid_from,valid_to\nx,y,,,,,\n")
    result = areas(run, "import", path)
    assert isinstance(result.exception, InvalidInput)
    assert "Chưa nhập gì" in result.stderr
    assert "province, district, commune" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["--official", str(DATA / "areas.csv")]])
def test_an_import_needs_files_or_the_official_ones(run: CliRunner, arguments: list[str]) -> None:
    assert areas(run, "import", *arguments).exit_code == 2


def test_villages_stations_and_devices_are_imported_and_follow(
    run: CliRunner, tmp_path: Path
) -> None:
    assert areas(run, "import", "--official").exit_code == 0
    villages = tmp_path / "villages.csv"
    villages.write_text(sample.VILLAGES)
    imported = areas(run, "import-villages", villages)
    assert "1 thôn chưa xếp được" in imported.output
    assert "T-3" in areas(run, "unplaced", "--on", "2025-07-01").output
    assert "mọi thôn đều thuộc một xã" in areas(run, "unplaced", "--on", "2024-07-09").output

    paths = []
    for file in sample.FILES:
        paths.append(str(tmp_path / file.name))
        Path(paths[-1]).write_bytes(file.data)
    result = run.invoke(station_commands.app, ["import", *paths])
    assert "14 thêm" in result.output, result.output
    result = run.invoke(station_commands.app, ["follow", "--on", "2025-07-01"])
    assert "DTT-21034" in result.output, result.output
    assert "Cần người quyết định" in result.output
    assert "21136, 21157" in result.output

    devices = tmp_path / "devices.csv"
    devices.write_text("code,codecs,cluster_code\nD-1,opus+mp3,C-1\n")
    result = run.invoke(device_commands.app, ["import", str(devices)])
    assert "1 thêm" in result.output, result.output
