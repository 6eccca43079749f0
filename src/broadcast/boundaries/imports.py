"""Outlines from a GeoJSON or TopoJSON file: all or nothing, and harmless to repeat."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import units
from broadcast.areas.model import Level
from broadcast.areas.tree import Tree
from broadcast.audit import recording
from broadcast.boundaries import formats, shapes
from broadcast.boundaries.centroids import centroids
from broadcast.boundaries.formats import Fault, Feature, Polygon, Unreadable
from broadcast.boundaries.model import Boundary
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import TooLarge
from broadcast.kit.sheets import Action, File, Report, RowErrors

log = structlog.get_logger()

MAX_BYTES = 24 * 2**20
"""A province's most detailed map takes 19 MB (96 communes, 220,003 points)."""

NAMED = 20
"""Communes named in a note; the rest are counted."""

FAR_DEGREES = 0.3
"""30 km: a commune's outline that is so far from its known point has somebody else's code."""


class _Mended(NamedTuple):
    outlines: dict[str, list[Polygon]]
    crossing: list[str]
    """Codes of those that crossed themselves."""


async def import_boundaries(
    session: AsyncSession,
    file: File,
    now: datetime,
    *,
    code_property: str | None = None,
    replace: bool = False,
    dry_run: bool = False,
) -> Report:
    """Store the outlines of the communes of today that a file has.

    Args:
        session: Transaction that all happens in.
        file: GeoJSON or TopoJSON, each commune a feature with its code.
        now: The present.
        code_property: Property that has the code, where it is none of the usual names.
        replace: What the file does not contain is removed.
        dry_run: Report what would change, and change nothing.

    Raises:
        InvalidInput: With `errors`, which name the feature; nothing is changed.
        TooLarge: The file exceeds `MAX_BYTES`.
    """
    if len(file.data) > MAX_BYTES:
        raise TooLarge(
            f"{file.name}: quá {MAX_BYTES // 2**20} MB; hãy đơn giản hóa bản đồ (ví dụ mapshaper,"
            " 10%) rồi nhập lại."
        )
    recording.say(session, files=[file.facts()])
    errors = RowErrors()
    try:
        features, faults = await asyncio.to_thread(formats.read, file.data, code_property)
    except Unreadable as error:
        errors.add(file.name, None, None, str(error))
        errors.raise_if_any()
        raise AssertionError from error
    today = now.astimezone(LOCAL).date()
    tree = await units.load_tree(session, today)
    lineage = await units.load_lineage(session, villages=False)
    features, above = _communes(features, tree)
    for feature in features:
        if feature.code not in tree:
            detail, _ = units.missing(lineage, feature.code, today)
            faults.append(Fault(feature.called, detail))
    faults += _repeated(features)
    for fault in faults:
        errors.add(file.name, None, None, f"{fault.feature}: {fault.detail}")
    if not features and not faults:
        errors.add(file.name, None, None, "không có xã nào trong tệp; mỗi xã là một đối tượng")
    errors.raise_if_any()
    mended = await asyncio.to_thread(_mended, features)
    report = Report(dry_run=dry_run)
    async with session.begin_nested() as attempt:
        await _store(session, mended.outlines, file.name, now, report, replace=replace)
        if dry_run:
            await attempt.rollback()
            recording.skip(session)
    report.notes += _notes(mended, tree, above)
    recording.say(session, **report.counts())
    log.info("boundaries.imported", **report.counts())
    return report


def _communes(features: Iterable[Feature], tree: Tree) -> tuple[list[Feature], list[Feature]]:
    """Features of communes and unknown codes, and those of larger units, which are left out."""
    communes: list[Feature] = []
    above: list[Feature] = []
    for feature in features:
        is_other = feature.code in tree and tree[feature.code].level is not Level.COMMUNE
        (above if is_other else communes).append(feature)
    return communes, above


def _repeated(features: Iterable[Feature]) -> list[Fault]:
    first: dict[str, Feature] = {}
    faults = []
    for feature in features:
        if first.setdefault(feature.code, feature) is not feature:
            before = first[feature.code].called
            faults.append(
                Fault(
                    feature.called,
                    f"mã {feature.code} đã có ở {before}; gộp thành một MultiPolygon hoặc sửa mã",
                )
            )
    return faults


def _mended(features: Sequence[Feature]) -> _Mended:
    crossing = []
    outlines = {}
    for feature in features:
        outlines[feature.code], was_crossing = shapes.mended(feature.polygons)
        if was_crossing:
            crossing.append(feature.code)
    return _Mended(shapes.thinned(outlines), crossing)


async def _store(
    session: AsyncSession,
    outlines: Mapping[str, list[Polygon]],
    file: str,
    now: datetime,
    report: Report,
    *,
    replace: bool,
) -> None:
    stored = {
        row.area_code: row
        for row in await session.scalars(sa.select(Boundary).order_by(Boundary.area_code))
    }
    for code in sorted(stored.keys() | outlines.keys()):
        old, polygons = stored.get(code), outlines.get(code)
        if polygons is None:
            assert old is not None
            if not replace:
                continue
            await session.delete(old)
            report.count(Action.REMOVED, code)
        elif old is None:
            session.add(Boundary(area_code=code, polygons=polygons, file=file, imported_at=now))
            report.count(Action.ADDED, code, f"{_points(polygons)} điểm")
        elif _plain(polygons) == old.polygons:
            report.count(Action.UNCHANGED, code)
            continue
        else:
            before = _points(old.polygons)
            old.polygons, old.file, old.imported_at = polygons, file, now
            report.count(Action.CHANGED, code, f"{before} → {_points(polygons)} điểm")
        after = None if polygons is None else {"points": _points(polygons), "file": file}
        recording.change(session, "boundaries", code, None, after)
        recording.concern(session, code)
    await session.flush()


def _plain(polygons: Sequence[Polygon]) -> list[list[list[list[float]]]]:
    """As JSON gives it back."""
    return [[[list(point) for point in ring] for ring in polygon] for polygon in polygons]


def _points(polygons: Iterable[Polygon]) -> int:
    return sum(len(ring) for polygon in polygons for ring in polygon)


def _notes(mended: _Mended, tree: Tree, above: Sequence[Feature]) -> list[str]:
    """What a person should look at, though it can be stored."""
    names = {code: f"{code} {tree[code].name}" for code in mended.outlines}
    provinces = {tree.chain(code)[-1].code for code in mended.outlines}
    missing = [
        f"{unit.code} {unit.name}"
        for province in sorted(provinces)
        for unit in tree.under(province, Level.COMMUNE)
        if unit.code not in mended.outlines
    ]
    notes = [
        _listed("chưa có ranh giới trong tệp, bản đồ vẽ hình lục giác thay thế", missing),
        _listed("ranh giới tự cắt, đã sửa", [names[code] for code in mended.crossing]),
        _listed(
            "ranh giới ở xa vị trí đã biết của xã, kiểm tra lại mã",
            [names[code] for code, polygons in mended.outlines.items() if _is_far(code, polygons)],
        ),
        _listed("không phải xã, bỏ qua", [feature.called for feature in above]),
    ]
    return [note for note in notes if note]


def _listed(what: str, named: Sequence[str]) -> str:
    more = len(named) - NAMED
    listed = ", ".join(named[:NAMED]) + (f" và {more} xã khác" if more > 0 else "")
    return f"{len(named)} xã {what}: {listed}" if named else ""


def _is_far(code: str, polygons: Sequence[Polygon]) -> bool:
    known = centroids().get(code)
    if known is None:
        return False
    points = [point for polygon in polygons for point in polygon[0]]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return not (
        min(xs) - FAR_DEGREES <= known.longitude <= max(xs) + FAR_DEGREES
        and min(ys) - FAR_DEGREES <= known.latitude <= max(ys) + FAR_DEGREES
    )
