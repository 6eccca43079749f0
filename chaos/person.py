"""The people at work while everything is killed: they ask again until they are answered."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Thread
from typing import Any

from broadcast.demo.api import Api, Refused
from broadcast.demo.seed import Seeded
from chaos.plan import Airing

NORMAL = (
    "Mời bà con đến nhà văn hóa thôn họp.",
    "Ngày mai tiêm phòng gia súc, gia cầm.",
    "Thu gom rác thải nhựa vào sáng thứ bảy.",
    "Trạm y tế xã khám bệnh cho người cao tuổi.",
)
PRIORITY = (
    "Tin ưu tiên. Đề phòng lũ trên sông Trà Khúc.",
    "Tin ưu tiên. Cấm tàu thuyền ra khơi.",
    "Tin ưu tiên. Sơ tán khỏi vùng sạt lở.",
    "Tin ưu tiên. Hồ chứa xả lũ lúc chín giờ.",
)
"""Read aloud in a few seconds, so that many are heard within minutes."""

LATE_LIMIT_SECONDS = 12
PATIENCE_SECONDS = 120.0
FRESH_EVERY = 5
"""So many schedules use a bulletin made before the chaos; then one is made in the middle of it."""


@dataclass
class Asked:
    """Requests of people and the answers that they got."""

    schedules: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)


async def prepare(api: Api, seeded: Seeded) -> list[list[dict[str, Any]]]:
    """Make the bulletins: the normal ones and those of priority.

    Of a commune, because normal ones of the province sound only where a commune picks them.
    """
    classes = ((NORMAL, "normal"), (PRIORITY, "priority"))
    made = await asyncio.gather(
        *(
            api.approved_bulletin(text, text, seeded.commune, level)
            for texts, level in classes
            for text in texts
        )
    )
    return [made[: len(NORMAL)], made[len(NORMAL) :]]


class Person(Thread):
    """Schedules what the plan says, in a thread of its own.

    Args:
        api: How they ask; used in this thread only.
        seeded: The province.
        bulletins: Those of `prepare`.
        airings: What is to be scheduled.
        began_at: Present when the chaos begins.
        say: Told what has been done.
    """

    def __init__(
        self,
        api: Callable[[], Api],
        seeded: Seeded,
        bulletins: list[list[dict[str, Any]]],
        airings: Sequence[Airing],
        began_at: datetime,
        say: Callable[[str], None],
    ) -> None:
        super().__init__(name="person", daemon=True)
        self.asked = Asked()
        self.failure: BaseException | None = None
        self._api = api
        self._seeded = seeded
        self._bulletins = bulletins
        self._airings = airings
        self._began_at = began_at
        self._began = time.monotonic()
        self._say = say

    def run(self) -> None:
        """Do it all."""
        try:
            asyncio.run(self._work())
        except BaseException as error:
            self.failure = error
            raise

    async def _work(self) -> None:
        async with self._api() as api:
            self.asked.answers = api.answers
            for number, airing in enumerate(self._airings):
                await asyncio.sleep(max(0.0, self._began + airing.asked_at - time.monotonic()))
                try:
                    await self._schedule(api, number, airing)
                except Refused as error:
                    self.asked.refused.append(error.detail)
                    self._say(f"refused: {error.detail}")

    async def _schedule(self, api: Api, number: int, airing: Airing) -> None:
        bulletin = self._bulletins[airing.priority][airing.bulletin]
        if number % FRESH_EVERY == FRESH_EVERY - 1:
            text = f"{(NORMAL, PRIORITY)[airing.priority][airing.bulletin]} Số {number}."
            level = "priority" if airing.priority else "normal"
            bulletin = await api.approved_bulletin(text, text, self._seeded.commune, level)
        starts_at = self._began_at + timedelta(seconds=airing.at)
        made = await api.schedule(
            bulletin,
            self._targets(airing),
            starts_at,
            late_limit_seconds=LATE_LIMIT_SECONDS,
            on_preempt=airing.on_preempt,
        )
        self.asked.schedules.append(made["id"])
        self._say(f"scheduled for {airing.at:.0f} s: {airing.where}, {bulletin['title']}")

    def _targets(self, airing: Airing) -> list[dict[str, str]]:
        match airing.where:
            case "province":
                return [{"area": self._seeded.province}]
            case "half":
                clusters = self._seeded.clusters[::2]
            case "third":
                clusters = self._seeded.clusters[::3]
        return [{"cluster": code} for code in clusters]
