"""Units and villages from files into the database."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.imports import import_areas, load_current, official_files
from broadcast.areas.model import Area, AreaLineage, Level, RegisteredVillage, Topology
from broadcast.areas.placement import Registered
from broadcast.areas.units import find_unit, load_lineage, load_tree, require_unit, units_on
from broadcast.areas.villages import import_villages, register, unplaced, withdraw
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.kit.sheets import File

PLAN_148 = date(2024, 7, 9)
AFTER_1279 = date(2025, 1, 4)
ACT_1677 = date(2025, 7, 1)

HEADER = "code,level,kind,name,parent_code,valid_from,valid_to\n"
STEPS = "old_code,new_code,effective_on,part,legal_act\n"
VILLAGES = "code,kind,name,commune_code,valid_from,valid_to\n"


def file(text: str, name: str = "areas.csv") -> File:
    return File(name, text.encode())


async def official(session: AsyncSession) -> None:
    await import_areas(session, *official_files())


async def stored(session: AsyncSession) -> set[tuple[object, ...]]:
    units = sa.select(Area.code, Area.parent_code, Area.name, Area.valid_from, Area.valid_to)
    steps = sa.select(AreaLineage.old_code, AreaLineage.new_code, AreaLineage.effective_on)
    return {tuple(row) for row in [*await session.execute(units), *await session.execute(steps)]}


async def revision(session: AsyncSession) -> int:
    return await session.scalar(sa.select(Topology.revision)) or 0


@pytest.mark.postgres
@pytest.mark.parametrize(("on", "count"), [(PLAN_148, 173), (AFTER_1279, 170), (ACT_1677, 96)])
async def test_quang_ngai_is_stored_with_its_communes_of_the_day(
    session: AsyncSession, on: date, count: int
) -> None:
    await official(session)
    communes = await units_on(session, on, level=Level.COMMUNE, under="51")
    assert len(communes) == count
    tree = await load_tree(session, on)
    assert [unit.code for unit in communes] == sorted(
        u.code for u in tree.under("51", Level.COMMUNE)
    )


async def test_an_import_can_be_repeated(session: AsyncSession) -> None:
    first = await import_areas(session, *official_files())
    assert (first.added, first.changed, first.removed) == (399 + 283, 0, 0)
    before = await stored(session)
    again = await import_areas(session, *official_files())
    assert (again.added, again.changed, again.removed, again.unchanged) == (0, 0, 0, 399 + 283)
    assert await stored(session) == before


async def test_a_dry_run_tells_what_would_change_and_changes_nothing(
    session: AsyncSession,
) -> None:
    await official(session)
    before, counted = await stored(session), await revision(session)
    text = HEADER + "21262,commune,xã,Xã Nghĩa An Mới,522,2020-02-01,2024-12-31\n"
    report = await import_areas(session, file(text), None, dry_run=True)
    assert report.dry_run
    assert [(change.action, change.what) for change in report.changes] == [
        ("changed", "21262 2020-02-01")
    ]
    assert report.changes[0].detail == "name: Xã Nghĩa An → Xã Nghĩa An Mới"
    assert (await stored(session), await revision(session)) == (before, counted)


async def test_an_import_is_counted_as_a_change_of_the_topology(session: AsyncSession) -> None:
    before = await revision(session)
    await official(session)
    assert await revision(session) == before + 1


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ("99999,commune,xã,Xã,999,2025-07-01,", "parent_code", "999 không tồn tại"),
        ("99999,commune,xã,Xã,522,2025-07-01,", "parent_code", "không tồn tại ngày 2025-07-01"),
        ("99999,commune,xã,Xã,522,2025-01-01,", "parent_code", "không tồn tại ngày 2025-07-01"),
        ("99999,commune,xã,Xã,21238,2025-07-01,", "parent_code", "không thể là cấp trên"),
        ("99999,commune,xã,Xã,,2025-07-01,", "parent_code", "ô trống"),
        ("21238,commune,xã,Xã,51,2025-08-01,", "valid_from", "đã dùng từ 2025-07-01 đến nay"),
        ("99999,commune,xã,Xã,51,2025-07-02,2025-07-01", "valid_to", "trước ngày bắt đầu"),
        ("9999,commune,xã,Xã,51,2025-07-01,", "code", "5 chữ số"),
        ("T-1,village,thôn,Thôn,21238,2025-07-01,", "level", "import-villages"),
        ("99999,hamlet,xã,Xã,51,2025-07-01,", "level", "province, district, commune"),
    ],
)
async def test_a_wrong_unit_is_refused_with_row_column_and_remedy(
    session: AsyncSession, row: str, column: str, says: str
) -> None:
    await official(session)
    before = await stored(session)
    good = "99998,commune,xã,Xã Tốt,51,2025-07-01,\n"
    with pytest.raises(InvalidInput) as error:
        await import_areas(session, file(HEADER + good + row + "\n"), None)
    (fault,) = error.value.extra["errors"]
    assert (fault["file"], fault["row"], fault["column"]) == ("areas.csv", 3, column)
    assert says in fault["detail"]
    assert await stored(session) == before


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ("21253,21238,2025-07-01,whole,NQ", "old_code", "không tồn tại ngày 2025-06-30"),
        ("21262,21253,2025-07-01,whole,NQ", "new_code", "không tồn tại ngày 2025-07-01"),
        ("51,21238,2025-08-01,whole,NQ", "part", "vẫn còn sau ngày 2025-08-01"),
        ("21142,21136,2025-07-01,whole,NQ\n21142,21157,2025-07-01,part,NQ", "part", "phần khác"),
        ("21253,21262,2025-01-01,all,NQ", "part", "whole, part"),
    ],
)
async def test_a_wrong_lineage_row_is_refused_with_row_column_and_remedy(
    session: AsyncSession, row: str, column: str, says: str
) -> None:
    await official(session)
    with pytest.raises(InvalidInput) as error:
        await import_areas(session, None, file(STEPS + row + "\n", "lineage.csv"))
    (fault,) = error.value.extra["errors"]
    assert (fault["file"], fault["row"], fault["column"]) == ("lineage.csv", 2, column)
    assert says in fault["detail"]


async def test_a_row_that_breaks_what_is_stored_is_refused(session: AsyncSession) -> None:
    await official(session)
    text = HEADER + "522,district,thành phố,Thành phố Quảng Ngãi,51,2020-02-01,2024-12-31\n"
    with pytest.raises(InvalidInput, match="dòng đã lưu"):
        await import_areas(session, file(text), None)


async def test_the_lineage_of_a_unit_on_a_day_is_replaced_as_a_whole(
    session: AsyncSession,
) -> None:
    await official(session)
    text = STEPS + "21142,21136,2025-07-01,whole,Đính chính\n"
    report = await import_areas(session, None, file(text, "lineage.csv"))
    assert (report.changed, report.removed) == (1, 1)
    lineage = await load_lineage(session)
    heirs = lineage.successors("21142", PLAN_148, ACT_1677)
    assert [(heir.code, heir.part) for heir in heirs] == [("21136", "whole")]


async def test_replacing_removes_what_the_file_does_not_have(session: AsyncSession) -> None:
    await official(session)
    text = HEADER + "51,province,tỉnh,Tỉnh Quảng Ngãi,,2020-02-01,\n"
    report = await import_areas(session, file(text), file(STEPS, "lineage.csv"), replace=True)
    assert (report.unchanged, report.removed) == (1, 398 + 283)
    assert await session.scalar(sa.select(sa.func.count()).select_from(Area)) == 1


async def test_the_package_and_the_files_agree_in_either_order(session: AsyncSession) -> None:
    first = await load_current(session, "51")
    assert first.added == 97
    await official(session)
    after_files = await stored(session)
    assert len(await units_on(session, PLAN_148, level=Level.COMMUNE, under="51")) == 173
    again = await load_current(session, "51")
    assert (again.added, again.changed, again.removed) == (0, 0, 0)
    assert again.notes == ["23302: lưu “Phường Đăk Bla”, gói “Phường Đăk BLa”"]
    assert await stored(session) == after_files


@pytest.mark.parametrize(
    ("province", "name", "count"), [("01", "Thành phố Hà Nội", 126), ("04", "Tỉnh Cao Bằng", 56)]
)
async def test_any_province_can_be_loaded(
    session: AsyncSession, province: str, name: str, count: int
) -> None:
    await load_current(session, province)
    unit = await require_unit(session, "area", province, ACT_1677)
    assert unit.name == name
    assert len(await units_on(session, ACT_1677, under=province)) == count


async def test_a_province_that_does_not_exist_is_refused(session: AsyncSession) -> None:
    with pytest.raises(InvalidInput, match="không có tỉnh mã “62”"):
        await load_current(session, "62")


@pytest.mark.parametrize(
    ("code", "on", "says", "replaced_by"),
    [
        ("21253", AFTER_1279, "không còn từ 2025-01-01; nay là 21262 Xã An Phú", ["21262"]),
        ("21253", ACT_1677, "nay là 21034 Xã An Phú", ["21034"]),
        ("21142", ACT_1677, "nay là 21136 Xã Cà Đam, 21157 Xã Tây Trà Bồng", ["21136", "21157"]),
        ("536", ACT_1677, "nay là 21548 Đặc khu Lý Sơn", ["21548"]),
        ("62", ACT_1677, "nay là 51 Tỉnh Quảng Ngãi", ["51"]),
        ("21548", PLAN_148, "chỉ có từ 2025-07-01", []),
        ("00000", ACT_1677, "không có đơn vị nào mang mã “00000”", []),
    ],
)
async def test_a_unit_that_is_no_more_names_its_replacements(
    session: AsyncSession, code: str, on: date, says: str, replaced_by: list[str]
) -> None:
    await official(session)
    with pytest.raises(InvalidInput, match=f"area: .*{says}") as error:
        await require_unit(session, "area", code, on)
    assert error.value.extra["replaced_by"] == replaced_by


async def test_an_abolished_district_is_replaced_by_what_its_communes_became(
    session: AsyncSession,
) -> None:
    await official(session)
    with pytest.raises(InvalidInput, match="Huyện Sơn Tịnh") as error:
        await require_unit(session, "area", "527", ACT_1677)
    codes = error.value.extra["replaced_by"]
    assert isinstance(codes, list)
    assert "21220" in codes


# --- villages ------------------------------------------------------------------------------------


async def lies_in(session: AsyncSession, code: str, on: date) -> str | None:
    unit = await find_unit(session, code, on)
    return unit.parent_code if unit else None


async def test_an_imported_village_follows_the_lineage(session: AsyncSession) -> None:
    await official(session)
    text = VILLAGES + "T-1,thôn,Thôn Phú Bình,21253,2020-02-01,\n"
    report = await import_villages(session, file(text, "villages.csv"))
    assert report.added == 1
    days = (PLAN_148, AFTER_1279, ACT_1677)
    assert [await lies_in(session, "T-1", on) for on in days] == ["21253", "21262", "21034"]
    tree = await load_tree(session, ACT_1677)
    assert tree.villages("51") == ["T-1"]


async def test_a_village_follows_a_lineage_that_comes_later(session: AsyncSession) -> None:
    await load_current(session, "51")
    await register(session, Registered("T-1", "thôn", "Thôn 1", "21238", ACT_1677, None))
    day = date(2027, 1, 1)
    text = (
        HEADER
        + "21238,commune,xã,Xã Vệ Giang,51,2025-07-01,2026-12-31\n"
        + "99999,commune,phường,Phường Mới,51,2027-01-01,\n"
    )
    steps = STEPS + "21238,99999,2027-01-01,whole,NQ\n"
    report = await import_areas(session, file(text), file(steps, "lineage.csv"))
    assert "thôn theo xã: 1 đoạn mở, 1 sửa, 0 bỏ" in report.notes
    assert await lies_in(session, "T-1", date(2026, 12, 31)) == "21238"
    assert await lies_in(session, "T-1", day) == "99999"


async def test_a_village_of_a_divided_commune_is_listed_until_it_is_placed(
    session: AsyncSession,
) -> None:
    await official(session)
    text = VILLAGES + "T-1,thôn,Thôn 1,21142,2020-02-01,\nT-2,thôn,Thôn 2,21142,2020-02-01,\n"
    report = await import_villages(session, file(text, "villages.csv"))
    assert report.notes[-1] == (
        "ngày 2025-07-01: 2 thôn chưa xếp được (areas unplaced --on 2025-07-01)"
    )
    assert [village.code for village in await unplaced(session, ACT_1677)] == ["T-1", "T-2"]

    await register(session, Registered("T-1", "thôn", "Thôn 1", "21157", ACT_1677, None))
    assert [village.code for village in await unplaced(session, ACT_1677)] == ["T-2"]
    assert await lies_in(session, "T-1", ACT_1677) == "21157"
    assert await lies_in(session, "T-2", ACT_1677) == "51"

    # The first file again does not undo what a person has decided since.
    await import_villages(session, file(text, "villages.csv"))
    assert await lies_in(session, "T-1", ACT_1677) == "21157"

    await withdraw(session, "T-1", ACT_1677)
    assert await lies_in(session, "T-1", ACT_1677) == "51"


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ("T-1,thôn,Thôn 1,,2020-02-01,", "commune_code", "bắt buộc"),
        ("T-1,thôn,Thôn 1,99999,2020-02-01,", "commune_code", "không có đơn vị nào"),
        ("T-1,thôn,Thôn 1,21253,2025-07-01,", "commune_code", "nay là 21034"),
        ("T-1,thôn,Thôn 1,51,2025-07-01,", "commune_code", "không phải cấp xã"),
        ("T-1,thôn,Thôn 1,527,2020-02-01,", "commune_code", "không phải cấp xã"),
        ("21253,thôn,Thôn 1,21253,2020-02-01,", "code", "giống mã"),
        ("0021253,thôn,Thôn 1,21253,2020-02-01,", "code", "giống mã"),
        ("12-Mar,thôn,Thôn 1,21253,2020-02-01,", "code", "bảng tính"),
        ("T-1,thôn,Thôn 1,21253,2020-02-01,2020-01-01", "valid_to", "trước ngày bắt đầu"),
        (
            "T-1,thôn,Thôn 1,21253,2020-02-01,2023-01-01\nT-1,thôn,Thôn 1,21262,2022-01-01,",
            "valid_to",
            "bắt đầu 2022-01-01",
        ),
    ],
)
async def test_a_wrong_village_is_refused_with_row_column_and_remedy(
    session: AsyncSession, row: str, column: str, says: str
) -> None:
    await official(session)
    with pytest.raises(InvalidInput) as error:
        await import_villages(session, file(VILLAGES + row + "\n", "villages.csv"))
    (fault,) = error.value.extra["errors"]
    assert (fault["file"], fault["row"], fault["column"]) == ("villages.csv", 2, column)
    assert says in fault["detail"]
    assert await session.scalar(sa.select(sa.func.count()).select_from(RegisteredVillage)) == 0


async def test_a_village_code_that_resembles_one_in_use_is_refused(session: AsyncSession) -> None:
    await official(session)
    first = VILLAGES + "T-a,thôn,Thôn 1,21253,2020-02-01,\n"
    await import_villages(session, file(first, "villages.csv"))
    again = VILLAGES + "t-A,thôn,Thôn 1,21253,2020-02-01,\nT-a,thôn,Thôn 1,21262,2024-01-01,\n"
    with pytest.raises(InvalidInput, match="đã có “T-a”"):
        await import_villages(session, file(again, "villages.csv"))
    renamed = VILLAGES + "t-A,thôn,Thôn 1,21253,2020-02-01,\n"
    report = await import_villages(session, file(renamed, "villages.csv"), replace=True)
    assert (report.added, report.removed) == (1, 1)


async def test_a_village_dry_run_changes_nothing(session: AsyncSession) -> None:
    await official(session)
    before = await stored(session)
    text = VILLAGES + "T-1,thôn,Thôn 1,21253,2020-02-01,\n"
    report = await import_villages(session, file(text, "villages.csv"), dry_run=True)
    assert report.added == 1
    assert await stored(session) == before


async def test_a_dry_run_tells_the_fate_of_each_row(session: AsyncSession) -> None:
    await official(session)
    text = VILLAGES + "T-1,thôn,Thôn 1,21253,2020-02-01,\nT-2,thôn,Thôn 2,21253,2020-02-01,\n"
    await import_villages(session, file(text, "villages.csv"))
    before = await stored(session)
    text = VILLAGES + (
        "T-1,thôn,Thôn Một,21253,2020-02-01,\nT-2,thôn,Thôn 2,21253,2020-02-01,\n"
        "T-3,thôn,Thôn 3,99999,2020-02-01,\nT-4,thôn,Thôn 4,21253,2020-02-01,\n"
    )
    report = await import_villages(session, file(text, "villages.csv"), dry_run=True)
    assert [(row.row, row.fate.value) for row in report.rows] == [
        (4, "refused"), (2, "changed"), (3, "unchanged"), (5, "added"),
    ]  # fmt: skip
    assert report.rows[1].detail == "name: Thôn 1 → Thôn Một"
    assert (report.refused, report.added, report.changed, report.unchanged) == (1, 1, 1, 1)
    bad = HEADER + "99997,hamlet,xã,Xã Mới,51,2025-07-01,\n"
    report = await import_areas(session, file(bad), None, dry_run=True)
    assert (report.refused, report.rows[0].row, report.rows[0].fate.value) == (1, 2, "refused")
    unit = HEADER + "99998,commune,xã,Xã Mới,51,2025-07-01,\n"
    report = await import_areas(session, file(unit), None, dry_run=True)
    assert [(row.fate.value, row.what) for row in report.rows] == [("added", "99998 2025-07-01")]
    assert await stored(session) == before


async def test_a_register_row_that_does_not_exist_cannot_be_withdrawn(
    session: AsyncSession,
) -> None:
    with pytest.raises(NotFound):
        await withdraw(session, "T-1", ACT_1677)


async def test_an_import_that_leaves_a_village_without_commune_is_refused(
    session: AsyncSession,
) -> None:
    await load_current(session, "51")
    await register(session, Registered("T-1", "thôn", "Thôn 1", "21238", ACT_1677, None))
    text = HEADER + "51,province,tỉnh,Tỉnh Quảng Ngãi,,2025-07-01,\n"
    with pytest.raises(InvalidInput, match="thôn T-1 trong sổ"):
        await import_areas(session, file(text), None, replace=True)


@pytest.mark.parametrize(
    ("row", "like"),
    [
        ("21O25,commune,xã,Xã Mới,51,2025-07-01,", "21025"),
        ("00001,commune,xã,Xã Mới,51,2025-07-01,\n1,commune,xã,Xã Mới,51,2025-07-01,", "00001"),
        ("051,province,tỉnh,Tỉnh Quảng Ngãi,,2025-07-01,", "51"),
        ("51.0,province,tỉnh,Tỉnh Quảng Ngãi,,2025-07-01,", "bảng tính"),
    ],
)
async def test_a_unit_that_a_spreadsheet_renamed_is_refused(
    session: AsyncSession, row: str, like: str
) -> None:
    await official(session)
    before = await stored(session)
    with pytest.raises(InvalidInput) as refused:
        await import_areas(session, file(HEADER + row + "\n"), None)
    faults = refused.value.extra["errors"]
    assert isinstance(faults, list)
    assert any(fault["column"] == "code" and like in fault["detail"] for fault in faults), faults
    assert await stored(session) == before
