"""Clusters: registering them, and which areas they hear on a day."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area, Level
from broadcast.areas.tree import DAY, Tree
from broadcast.areas.units import exists_on, load_lineage, load_tree, missing
from broadcast.kit.errors import InvalidInput, Unknown
from broadcast.kit.sheets import Action
from broadcast.stations.model import Cluster, ClusterVillage, Evidence, Grade
from broadcast.stations.registry import Registry, changed, facts_of
from broadcast.stations.schemas import ClusterIn


def stands_on(on: date) -> sa.ColumnElement[bool]:
    """Condition that a cluster stands on its pole on a day."""
    return sa.and_(
        Cluster.installed_on <= on, sa.or_(Cluster.removed_on.is_(None), Cluster.removed_on > on)
    )


async def names(session: AsyncSession, codes: Iterable[str]) -> dict[str, str]:
    """Names of clusters, by code; the code itself of one that is not known."""
    asked = set(codes)
    rows = await session.execute(
        sa.select(Cluster.code, Cluster.name).where(Cluster.code.in_(asked))
    )
    return {code: code for code in asked} | dict(rows.all())


def serves_on(on: date) -> sa.ColumnElement[bool]:
    """Condition that a cluster serves a village on a day."""
    return sa.and_(
        ClusterVillage.valid_from <= on,
        sa.or_(ClusterVillage.valid_to.is_(None), ClusterVillage.valid_to >= on),
    )


NO_PRIMARY = "cần ít nhất một thôn chính, ví dụ T-0001:primary"


async def find_cluster(session: AsyncSession, code: str) -> Cluster | None:
    """The cluster with this code."""
    found: Cluster | None = await session.scalar(sa.select(Cluster).where(Cluster.code == code))
    return found


async def require_cluster(session: AsyncSession, code: str) -> Cluster:
    """The cluster that a field `cluster_code` names.

    Raises:
        Unknown: There is none.
    """
    cluster = await find_cluster(session, code)
    if cluster is None:
        raise Unknown("cluster_code", f"không có cụm loa mã “{code}”")
    return cluster


async def followed_areas(
    session: AsyncSession, on: date, cluster_ids: Collection[int] | None = None
) -> dict[int, list[str]]:
    """Areas whose documents a device on each cluster follows on a day.

    Its primary villages and everything above them, nearest first. A village that is no more, or
    in no commune yet, counts with what is certain above it.
    """
    statement = (
        sa.select(ClusterVillage.cluster_id, ClusterVillage.village_code)
        .join(Cluster, Cluster.id == ClusterVillage.cluster_id)
        .where(stands_on(on), serves_on(on), ClusterVillage.grade == Grade.PRIMARY)
        .order_by(ClusterVillage.cluster_id, ClusterVillage.village_code)
    )
    if cluster_ids is not None:
        statement = statement.where(ClusterVillage.cluster_id.in_(cluster_ids))
    rows = (await session.execute(statement)).all()
    tree = await load_tree(session, on)
    chains = await _chains(session, tree, {village for _, village in rows}, on)
    villages: dict[int, list[str]] = {}
    for cluster_id, village in rows:
        villages.setdefault(cluster_id, []).append(village)
    return {
        cluster_id: _together([chains[village] for village in served])
        for cluster_id, served in villages.items()
    }


def _together(chains: list[list[str]]) -> list[str]:
    depths = {code: len(chain) - place for chain in chains for place, code in enumerate(chain)}
    codes = dict.fromkeys(code for chain in chains for code in chain)
    return sorted(codes, key=lambda code: -depths[code])


async def _chains(
    session: AsyncSession, tree: Tree, villages: Iterable[str], on: date
) -> dict[str, list[str]]:
    """Codes of each village and of all above it."""
    chains = {code: [unit.code for unit in tree.chain(code)] for code in villages}
    gone = [code for code, chain in chains.items() if not chain]
    if gone:
        lineage = await load_lineage(session)
        for code in gone:
            chains[code] = [code, *(unit.code for unit in lineage.certain_chain(code, on))]
    return chains


async def clusters_serving(
    session: AsyncSession, area_codes: Collection[str], on: date
) -> dict[str, set[int]]:
    """Ids of the clusters with telemetry that hear each area on a day.

    Those that stand on that day and have a primary village in the area: the same that follow it
    by `followed_areas`.
    """
    tree = await load_tree(session, on)
    villages = {code: {code, *tree.villages(code)} for code in area_codes}
    serving = (
        sa.select(ClusterVillage)
        .join(Cluster, Cluster.id == ClusterVillage.cluster_id)
        .where(
            stands_on(on),
            serves_on(on),
            ClusterVillage.grade == Grade.PRIMARY,
            Cluster.evidence == Evidence.TELEMETRY,
        )
    )
    unit = sa.exists().where(Area.code == ClusterVillage.village_code, exists_on(on))
    gone = await session.scalars(
        serving.with_only_columns(ClusterVillage.village_code).where(~unit).distinct()
    )
    for village, chain in (await _chains(session, tree, gone, on)).items():
        for code in villages.keys() & set(chain):
            villages[code].add(village)
    clusters: dict[str, set[int]] = {}
    village_codes = sorted(set().union(*villages.values()))
    for row in await session.execute(
        serving.with_only_columns(ClusterVillage.village_code, ClusterVillage.cluster_id).where(
            ClusterVillage.village_code == sa.any_(sa.literal(village_codes, ARRAY(sa.Text())))
        )
    ):
        clusters.setdefault(row.village_code, set()).add(row.cluster_id)
    return {
        code: {cluster_id for village in served for cluster_id in clusters.get(village, ())}
        for code, served in villages.items()
    }


def put_cluster(
    registry: Registry, code: str, body: ClusterIn, villages: Mapping[str, Grade] | None
) -> tuple[Action, str]:
    """Store a cluster without its villages (`serve`); a new one has its id after a flush.

    Args:
        registry: Loaded with this cluster, if it is registered.
        code: Of the cluster.
        body: All of its facts.
        villages: Villages that it is to serve; a new one needs a primary one.

    Raises:
        InvalidInput: No such plant, dates reversed, half of the coordinates, or a new code that
            resembles another.
    """
    plant = registry.plants.get(body.plant_code)
    if plant is None:
        hint = registry.plant_codes.hint(body.plant_code)
        raise InvalidInput(
            "plant_code", f"không có hệ thống kỹ thuật mã “{body.plant_code}”{hint}; nhập nó trước"
        )
    if body.removed_on is not None and body.removed_on <= body.installed_on:
        raise InvalidInput("removed_on", f"phải sau ngày lắp {body.installed_on}")
    if (body.latitude is None) != (body.longitude is None):
        raise InvalidInput("latitude", "ghi cả vĩ độ và kinh độ, hoặc để trống cả hai")
    facts = {"plant_id": plant.id, **facts_of(ClusterIn, body, but="plant_code")}
    cluster = registry.clusters.get(code)
    if cluster is not None:
        return changed(cluster, facts)
    if not villages or Grade.PRIMARY not in villages.values():
        raise InvalidInput("villages", NO_PRIMARY)
    registry.cluster_codes.admit(code)
    registry.clusters[code] = Cluster(code=code, **facts)
    registry.session.add(registry.clusters[code])
    return Action.ADDED, body.name


async def serve(
    registry: Registry, cluster: Cluster, villages: Mapping[str, Grade], from_on: date
) -> tuple[Action, str]:
    """Make a cluster serve exactly these villages from a day on; its past stays.

    Raises:
        InvalidInput: A village that does not exist on that day, or no primary one.
    """
    if Grade.PRIMARY not in villages.values():
        raise InvalidInput("villages", NO_PRIMARY)
    if from_on < cluster.installed_on:
        raise InvalidInput("villages_from", f"cụm {cluster.code} lắp ngày {cluster.installed_on}")
    _require_villages(registry, villages, from_on)
    stored = registry.served.setdefault(cluster.id, [])
    wanted = dict(villages)
    said = []
    for row in [row for row in stored if row.valid_to is None or row.valid_to >= from_on]:
        if wanted.get(row.village_code) is row.grade and row.valid_from <= from_on:
            del wanted[row.village_code]
            said += [f"~{row.village_code}"] * (row.valid_to is not None)
            row.valid_to = None
            continue
        said.append(f"-{row.village_code}")
        if row.valid_from < from_on:
            row.valid_to = from_on - DAY
        else:
            await registry.session.delete(row)
            stored.remove(row)
    if said:
        # A row may come back under the key of one that is deleted here.
        await registry.session.flush()
    for code, grade in wanted.items():
        row = ClusterVillage(
            cluster_id=cluster.id,
            village_code=code,
            valid_from=from_on,
            valid_to=None,
            grade=grade,
        )
        registry.session.add(row)
        stored.append(row)
        said.append(f"+{code}:{grade.value}")
    return (Action.CHANGED if said else Action.UNCHANGED), " ".join(said)


def _require_villages(registry: Registry, codes: Iterable[str], from_on: date) -> None:
    on = registry.on_record(from_on)
    for code in codes:
        unit = registry.lineage.unit(code, on)
        if unit is None:
            raise InvalidInput("villages", missing(registry.lineage, code, on)[0])
        if unit.level is not Level.VILLAGE:
            raise InvalidInput("villages", f"{unit.name} ({code}) không phải thôn, tổ dân phố")
