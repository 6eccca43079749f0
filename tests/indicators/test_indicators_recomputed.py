"""Promise 6: a figure equals a full recomputation from evidence, for any past date."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from fractions import Fraction
from random import Random

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.indicators.definitions import OPERATING_RULES
from broadcast.indicators.figures import Cache, evaluate, load_province, load_raw_province
from broadcast.indicators.reach import operation
from broadcast.indicators.results import Result
from tests.indicators.invented import (
    BEGIN,
    DISTRICT,
    END,
    MERGER,
    NEW_COMMUNES,
    NOW,
    OLD_COMMUNES,
    PROVINCE,
    invent,
)
from tests.indicators.recount import Count, Recount, read

SMALL = replace(
    OPERATING_RULES[0],
    window_days=6,
    broadcast_hours=((time(5), time(5, 45)), (time(23, 40), time(0, 15))),
    play_within_days=3,
    speaker_fault=timedelta(hours=36),
    attestation=timedelta(days=4),
)
"""The rule on a scale at which every minute can be asked on its own."""

DAYS = (MERGER - timedelta(days=1), MERGER, END)


def _count(result: Result) -> Count:
    return Count(
        denominator={member.code for member in result.members},
        numerator={member.code: member.evidence.value for member in result.numerator},
        excluded={unit.code for unit in result.excluded},
        partly={member.code for member in result.partly},
        errors={member.code for member in result.data_errors},
    )


@pytest.mark.parametrize("seed", [3, 9, 10, 12, 13])
async def test_figures_equal_a_recount_of_the_raw_evidence(
    session: AsyncSession, seed: int
) -> None:
    await invent(session, seed)
    tables = await read(session)
    random = Random(seed)
    some = [BEGIN + timedelta(days=random.randrange((END - BEGIN).days)) for _ in range(3)]
    for as_of in (*DAYS, *some):
        communes, districts = (OLD_COMMUNES, [DISTRICT]) if as_of < MERGER else (NEW_COMMUNES, [])
        recount = Recount(tables, as_of, SMALL, NOW)
        for scope in (PROVINCE, *districts, random.choice(communes)):
            province = await load_raw_province(session, as_of, scope, SMALL, NOW)
            by_days = await load_province(session, as_of, scope, SMALL, NOW, Cache())
            assert by_days == province
            results = evaluate(province, SMALL)
            for cluster in province.clusters.values():
                judged = operation(cluster, SMALL, province.at)
                assert judged.evidence.value == recount.proof[cluster.id], (as_of, cluster)
                minutes = (cluster.expected_minutes, cluster.online_minutes)
                assert minutes == recount.minutes(cluster.id), (as_of, cluster)
                played = cluster.completed and cluster.broadcast_days < SMALL.play_within_days
                assert played == recount.played(cluster.id), (as_of, cluster)
                since = cluster.fault_since
                broken = since is not None and province.at - since > SMALL.speaker_fault
                assert broken == recount.broken(cluster.id), (as_of, cluster)
            for name, wanted in recount.count(scope).items():
                code, variant = name.split()
                result = results[code][variant]
                assert _count(result) == wanted, (as_of, scope, name)
                if wanted.denominator:
                    value = Fraction(len(wanted.numerator), len(wanted.denominator))
                    assert result.value == value
