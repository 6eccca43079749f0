"""Every table says where its rows lie, or why nowhere; any form of statement is limited."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

import broadcast.api
import broadcast.programmes.model  # noqa: F401 - all tables there are
from broadcast.areas.scope import Scope, whole
from broadcast.kit import clock
from broadcast.kit.db import Base
from broadcast.stations.model import Cluster, ClusterVillage
from broadcast.visibility.rows import PLACED, UNPLACED, Bounds
from broadcast.visibility.sessions import Limits
from broadcast.web.rest import LIMITED
from tests.visibility.world import build


def test_every_table_has_places_or_a_reason() -> None:
    models = {mapper.class_ for mapper in Base.registry.mappers}
    ours = {model for model in models if model.__module__.startswith("broadcast.")}
    unplaced = {model for model in ours if {model.__tablename__, package(model)} & UNPLACED.keys()}
    assert ours - unplaced == PLACED.keys()
    assert UNPLACED.keys() <= {model.__tablename__ for model in ours} | {package(m) for m in ours}
    assert all(UNPLACED.values())


def package(model: type[Base]) -> str:
    return ".".join(model.__module__.split(".")[:2])


ALIAS = aliased(Cluster)
STATEMENTS = {
    "entity": sa.select(Cluster),
    "column": sa.select(Cluster.code),
    "count": sa.select(sa.func.count(Cluster.id)),
    "alias": sa.select(ALIAS.code),
    "joined": sa.select(Cluster.code).join(
        ClusterVillage, ClusterVillage.cluster_id == Cluster.id
    ),
    "subquery": sa.select(sa.select(Cluster.code).subquery().c.code),
    "cte": sa.select(sa.select(Cluster.code).cte("c").c.code),
    "in": sa.select(ClusterVillage.cluster_id).where(
        ClusterVillage.cluster_id.in_(sa.select(Cluster.id))
    ),
    "lateral": sa.select(sa.select(Cluster.code).lateral().c.code),
    "union": sa.select(sa.union(sa.select(Cluster.code), sa.select(ALIAS.code)).subquery().c.code),
    "scalar": sa.select(
        ClusterVillage.cluster_id,
        sa.select(Cluster.code).where(Cluster.id == ClusterVillage.cluster_id).scalar_subquery(),
    ),
}


@pytest.mark.parametrize("form", STATEMENTS)
async def test_a_statement_of_any_form_is_limited(session: AsyncSession, form: str) -> None:
    await build(session, clock.now())
    everything = (await session.execute(STATEMENTS[form])).all()
    session.info[LIMITED] = Limits(Bounds.of(Scope(frozenset({"20001", "V-1"})), clock.today()))
    found = (await session.execute(STATEMENTS[form])).all()
    if form == "count":
        assert (everything, found) == ([(8,)], [(2,)])
    else:
        assert (len(everything), len(found)) == (8, 2)
    ours = {"K-zza", "Q-zza"}
    assert {row[0] for row in found if isinstance(row[0], str)} <= ours


@pytest.mark.parametrize(
    "statement",
    [sa.text("SELECT code FROM clusters"), sa.select(Cluster.__table__.c.code)],
    ids=["sql", "table"],
)
async def test_what_cannot_be_limited_is_refused(
    session: AsyncSession, statement: sa.Executable
) -> None:
    session.info[LIMITED] = Limits(Bounds.of(Scope(frozenset()), clock.today()))
    with pytest.raises(RuntimeError, match="scope"):
        await session.execute(statement)
    async with whole(session):
        await session.execute(statement)
    with pytest.raises(RuntimeError, match="scope"):
        await session.execute(statement)
