"""Who hears an area on each day of a span that holds a merger and the move of a cluster."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit.errors import InvalidInput
from broadcast.stations.clusters import clusters_serving, followed_areas
from broadcast.stations.model import Cluster, ClusterVillage
from broadcast.stations.spans import Days, area_over, clusters_over, followed_over
from tests.stations import sample

SPAN = Days(date(2024, 12, 28), date(2025, 1, 6))
MERGED = date(2025, 1, 1)


@pytest.mark.parametrize("code", ["51", "21253", "21262", "T-1", "T-2", "21142"])
async def test_each_day_has_those_that_serve_the_area_on_it(
    session: AsyncSession, code: str
) -> None:
    await sample.everything(session)
    ids = dict((await session.execute(sa.select(Cluster.code, Cluster.id))).all())
    moved, taken_down = date(2024, 12, 30), date(2025, 1, 3)
    await session.execute(
        sa.update(ClusterVillage)
        .where(ClusterVillage.cluster_id == ids["C-4"])
        .values(valid_to=moved)
    )
    await session.execute(
        sa.update(Cluster).where(Cluster.id == ids["C-2"]).values(removed_on=taken_down)
    )
    found = await clusters_over(session, await area_over(session, "area", code, SPAN))
    for number in range(SPAN.last_on.toordinal() - SPAN.first_on.toordinal() + 1):
        day = date.fromordinal(SPAN.first_on.toordinal() + number)
        ids_of_day = {
            each for days, ids in found.items() if days[0] <= day <= days[1] for each in ids
        }
        # The commune that ended goes on as its village.
        meant = "T-1" if code == "21253" and day >= MERGED else code
        assert ids_of_day == (await clusters_serving(session, [meant], day))[meant], day
        for cluster_id in ids.values():
            followed = await followed_over(session, cluster_id, SPAN)
            codes = {
                each for days, areas in followed.items() if days[0] <= day <= days[1]
                for each in areas
            }  # fmt: skip
            known = (await followed_areas(session, day, [cluster_id])).get(cluster_id, [])
            assert codes == (set(known) if cluster_id != ids["C-3"] else set()), day


async def test_an_area_of_no_day_of_the_span_is_refused(session: AsyncSession) -> None:
    await sample.everything(session)
    with pytest.raises(InvalidInput) as refused:
        await area_over(session, "area", "21253", Days(MERGED, SPAN.last_on))
    assert refused.value.extra["replaced_by"] == ["21262"]
