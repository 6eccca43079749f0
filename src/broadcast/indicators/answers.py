"""Answers of the indicators, for REST and for the pages: whose figures, of which day, and why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope as places
from broadcast.areas.units import require_unit
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.indicators.comparison import Order, compare
from broadcast.indicators.detail_schemas import (
    ClusterOperationOut,
    CommuneOut,
    ComparisonOut,
    NeedsOut,
    SentenceOut,
    TrendOut,
    WhyOut,
)
from broadcast.indicators.figures import Cache, judge, variant_of
from broadcast.indicators.needs import needs
from broadcast.indicators.operation import operation_of
from broadcast.indicators.reach import Assessment
from broadcast.indicators.restatements import restated
from broadcast.indicators.results import Result, Results
from broadcast.indicators.schemas import IndicatorsOut, ResultOut
from broadcast.indicators.trend import Interval, days_between, trend
from broadcast.indicators.why import cause_text, why
from broadcast.kit import clock
from broadcast.kit.errors import NotFound
from broadcast.stations.clusters import find_cluster

YEAR = timedelta(days=365)


class Question(NamedTuple):
    """Who asks for figures of which unit on which day."""

    session: AsyncSession
    caller: Caller
    cache: Cache
    province: str
    """Code of the province of the installation."""
    as_of: date | None
    """None is today."""
    scope: str | None
    """None is the caller's own area."""

    @property
    def on(self) -> date:
        """The day."""
        return self.as_of or clock.today()


@dataclass(frozen=True)
class Answer:
    """The province of a day, judged; every answer about it follows from this."""

    on: date
    scope: str
    assessment: Assessment
    results: Results
    """All figures."""

    def variant(self, code: str, variant: str) -> Result:
        """One figure.

        Raises:
            NotFound: There is no such indicator or variant.
        """
        return variant_of(self.results, code, variant)

    def figure(self, code: str, variant: str) -> ResultOut:
        """One figure with its lists.

        Raises:
            NotFound: There is no such indicator or variant.
        """
        return ResultOut.with_lists(self.variant(code, variant), self.on, self.scope)

    def needs(self, code: str, variant: str) -> NeedsOut:
        """What would bring the figure to its target.

        Raises:
            NotFound: There is no such indicator or variant.
        """
        result = self.variant(code, variant)
        rule, province = self.assessment.rule, self.assessment.province
        wrong = {
            province.clusters[id_].code: "; ".join(
                cause_text(cause, province.clusters[id_], rule) for cause in operation.causes
            )
            for id_, operation in self.assessment.operations.items()
            if operation.causes
        }
        return NeedsOut.of(result, needs(self.assessment, result), wrong, self.on, self.scope)

    def comparison(self, code: str, order: Order) -> ComparisonOut:
        """Communes side by side.

        Raises:
            NotFound: There is no such indicator.
        """
        if code not in self.results:
            known = ", ".join(self.results)
            raise NotFound(f"Không có chỉ tiêu {code}; các chỉ tiêu: {known}.")
        rows = compare(self.assessment, self.results, code, order)
        return ComparisonOut(
            code=code,
            as_of=self.on,
            scope=self.scope,
            sort=order,
            communes=[CommuneOut.of(row) for row in rows],
        )

    def why(self, code: str, variant: str, unit: str) -> WhyOut:
        """Why a unit counts or does not.

        Raises:
            NotFound: There is no such indicator or variant, or the unit is not counted by it.
        """
        result = self.variant(code, variant)
        chain = why(self.assessment, result, unit)
        counted = any(each.code == unit and each.counted for each in result.members)
        return WhyOut(
            code=code,
            variant=variant,
            as_of=self.on,
            scope=self.scope,
            title=result.definition.title,
            counted=counted,
            chain=[SentenceOut.of(each, self.on) for each in chain],
        )


@asynccontextmanager
async def _allowed(question: Question) -> AsyncIterator[str]:
    """The unit asked about; within, everything is found of it.

    Raises:
        NotFound: It is not the caller's to read.
        InvalidInput: None is named, and the caller has several.
    """
    session, caller = question.session, question.caller
    unit = question.scope or await places.default_unit(session, caller, question.province)
    await places.require_readable_unit(session, caller, Permission.READ, unit, question.on)
    async with places.whole(session):
        yield unit


async def answer(question: Question) -> Answer:
    """Judge the unit asked about.

    Raises:
        NotFound: The unit is not the caller's to read.
        InvalidInput: No unit is named and the caller has several; there is none on that day, or
            it is a village; or the day is in the future.
    """
    async with _allowed(question) as unit:
        judged = await judge(question.session, question.on, unit, clock.now(), question.cache)
    return Answer(question.on, unit, *judged)


async def all_figures(question: Question) -> IndicatorsOut:
    """All variants, without their lists; when a past day was restated last.

    Raises:
        NotFound: As `answer`.
        InvalidInput: As `answer`.
    """
    found = await answer(question)
    restated_at = None
    if found.on < clock.today():
        async with places.whole(question.session):
            restated_at = await restated(question.session, found.on)
    return IndicatorsOut.of(found.results, found.on, found.scope, restated_at)


async def over_time(
    question: Question, code: str, variant: str, first_on: date | None, interval: Interval
) -> TrendOut:
    """One variant up to the day asked about; from a year before, unless a day is named.

    Raises:
        NotFound: As `answer`, or there is no such indicator or variant.
        InvalidInput: As `answer`, or the range is not one.
    """
    days = days_between(first_on or question.on - YEAR, question.on, interval)
    async with _allowed(question) as unit:
        await require_unit(question.session, "scope", unit, question.on)
        found = await trend(
            question.session, code, variant, days, unit, clock.now(), question.cache
        )
    return TrendOut.of(code, variant, unit, interval, found)


async def cluster_operation(question: Question, code: str) -> ClusterOperationOut:
    """Whether a cluster operates, with the days behind it.

    Raises:
        NotFound: The caller sees no such cluster, or it did not stand on that day.
        InvalidInput: The day is in the future.
    """
    cluster = await find_cluster(question.session, code)
    if cluster is None:
        raise NotFound(f"Không có cụm loa mã “{code}”.")
    async with places.whole(question.session):
        found = await operation_of(
            question.session, cluster.id, question.on, question.province, clock.now(),
            question.cache,
        )  # fmt: skip
    return ClusterOperationOut.of(found, question.on)
