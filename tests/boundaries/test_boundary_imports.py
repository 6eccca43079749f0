"""Importing outlines over REST and by command, and the map that is drawn of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from broadcast.areas.imports import import_areas, official_files
from broadcast.auth.permissions import Role
from broadcast.boundaries import cli
from broadcast.boundaries.imports import MAX_BYTES
from broadcast.boundaries.model import Boundary
from broadcast.kit import db
from tests.boundaries.maps import feature, geojson, row, square, topology
from tests.stations.client import client_of

TWO = ("21025", "21028")


@pytest.fixture
async def client(engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with db.transaction(engine) as session:
        await import_areas(session, *official_files())
    async with client_of(engine) as client:
        yield client


async def post(client: httpx.AsyncClient, data: bytes, **form: str) -> httpx.Response:
    return await client.post(
        "/boundaries/import", files={"boundaries": ("xa.geojson", data)}, data=form
    )


async def drawn(client: httpx.AsyncClient, code: str) -> dict[str, Any]:
    answer = await client.get(f"/areas/{code}/map")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_without_outlines_every_commune_is_a_cell(client: httpx.AsyncClient) -> None:
    found = await drawn(client, "51")
    assert found["name"] == "Tỉnh Quảng Ngãi"
    assert len(found["areas"]) == 96
    assert {each["source"] for each in found["areas"]} == {"cell"}
    assert found["without_outline"] == []
    assert "Đặc khu Lý Sơn" in {each["name"] for each in found["areas"]}


async def test_an_import_is_stored_drawn_and_harmless_to_repeat(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    first = await post(client, topology(TWO))
    assert first.status_code == 200, first.text
    report = first.json()
    assert (report["added"], report["changed"]) == (2, 0)
    assert any("94 xã chưa có ranh giới" in note for note in report["notes"])
    again = (await post(client, topology(TWO))).json()
    assert (again["added"], again["changed"], again["unchanged"]) == (0, 0, 2)
    sources = {each["code"]: each["source"] for each in (await drawn(client, "51"))["areas"]}
    assert len(sources) == 96
    assert [code for code, source in sources.items() if source == "boundary"] == list(TWO)
    assert {source for code, source in sources.items() if code not in TWO} == {"hexagon"}
    one = await drawn(client, "21025")
    assert [each["code"] for each in one["areas"]] == ["21025"]
    async with db.transaction(engine) as session:
        stored = await session.get(Boundary, "21025")
        assert stored is not None
        assert stored.file == "xa.geojson"
        assert len(stored.polygons[0][0]) == 5


async def test_a_changed_outline_is_drawn_at_once(client: httpx.AsyncClient) -> None:
    await post(client, geojson([feature("21025", square(0))]))
    before = (await drawn(client, "21025"))["areas"][0]["path"]
    wide = [[108, 15], [108.4, 15], [108.4, 15.1], [108, 15.1], [108, 15]]
    report = (await post(client, geojson([feature("21025", wide)]))).json()
    assert report["changed"] == 1
    assert (await drawn(client, "21025"))["areas"][0]["path"] != before


async def test_a_check_changes_nothing(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    report = (await post(client, row(TWO), dry_run="true")).json()
    assert (report["dry_run"], report["added"]) == (True, 2)
    async with db.transaction(engine) as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(Boundary)) == 0


async def test_what_the_file_has_not_goes_only_by_replace(client: httpx.AsyncClient) -> None:
    await post(client, row(TWO))
    kept = (await post(client, row(TWO[:1]))).json()
    assert (kept["removed"], kept["unchanged"]) == (0, 1)
    gone = (await post(client, row(TWO[:1]), replace="true")).json()
    assert gone["removed"] == 1


async def test_all_faults_are_told_at_once_and_nothing_is_stored(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    faulty = geojson([
        feature("21025", square(0)),
        feature("99999", square(1), name="Xã Lạ"),
        feature("21253", square(2)),
        feature("21025", square(3)),
        feature("21028", square(4)[:-1]),
    ])  # fmt: skip
    answer = await post(client, faulty)
    assert answer.status_code == 422
    said = "\n".join(each["detail"] for each in answer.json()["errors"])
    assert "đối tượng 2 “Xã Lạ”: không có đơn vị nào mang mã “99999”" in said
    assert "(21253) không còn từ 2025-01-01; nay là 21034 Xã An Phú" in said
    assert "đối tượng 4 “21025”: mã 21025 đã có ở đối tượng 1" in said
    assert "chưa khép kín" in said
    async with db.transaction(engine) as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(Boundary)) == 0


async def test_what_is_doubtful_is_noted(client: httpx.AsyncClient) -> None:
    bow = [[108.8, 15.1], [108.9, 15.2], [108.9, 15.1], [108.8, 15.2], [108.8, 15.1]]
    features = [
        feature("21025", bow),
        feature("21028", square(-5)),
        feature("51", square(0), name="Tỉnh Quảng Ngãi"),
    ]
    notes = "\n".join((await post(client, geojson(features))).json()["notes"])
    assert "1 xã ranh giới tự cắt, đã sửa: 21025" in notes
    assert "1 xã ranh giới ở xa vị trí đã biết của xã, kiểm tra lại mã: 21028" in notes
    assert "không phải xã, bỏ qua: đối tượng 3 “Tỉnh Quảng Ngãi”" in notes


async def test_a_file_that_is_none_is_refused(client: httpx.AsyncClient) -> None:
    for data, said in ((b"code,name\n", "không phải JSON"), (geojson([]), "không có xã nào")):
        answer = await post(client, data)
        assert answer.status_code == 422
        assert said in answer.json()["detail"]
    answer = await post(client, b" " * (MAX_BYTES + 1))
    assert answer.status_code == 413
    assert "đơn giản hóa bản đồ" in answer.json()["detail"]


async def test_there_is_a_map_of_what_exists(client: httpx.AsyncClient) -> None:
    gone = await client.get("/areas/21253/map")
    assert gone.status_code == 404
    assert gone.json()["replaced_by"] == ["21034"]


async def test_only_who_administers_the_province_imports(engine: AsyncEngine) -> None:
    async with client_of(engine, Role.PROVINCE_MONITOR) as monitor:
        assert (await post(monitor, row(TWO))).status_code == 403


def test_the_command_tells_faults_and_checks(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", postgres_dsn)
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "xa.topojson"
    path.write_bytes(topology(TWO))

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cli.app, [*arguments])
        return result.output + result.stderr

    run("import", "--official")
    command = ("boundaries", "import", str(path))
    assert "2 thêm, 0 sửa, 0 bỏ, 0 giữ nguyên; chưa ghi gì" in run(*command, "--check")
    assert "2 thêm" in run(*command)
    assert "2 giữ nguyên" in run(*command)
    path.write_bytes(row(["001"]))
    assert "không có đơn vị nào mang mã “00001”" in run(*command)
