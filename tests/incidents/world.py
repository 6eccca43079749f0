"""A province of communes with clusters and devices that are heard and fall silent."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area, Level
from broadcast.areas.topology import touch
from broadcast.config import Rules
from broadcast.devices.model import Device, Installation
from broadcast.incidents.model import Incident, IncidentLoss
from broadcast.incidents.watch import Watch
from broadcast.stations.model import Cluster, ClusterVillage, Evidence, Grade, Plant
from broadcast.telemetry.model import DevicePresence
from broadcast.telemetry.presence import Listening
from broadcast.telemetry.sweep import keep_listening, sweep
from tests.devices.fleet import EIGHT, MINUTE, SECOND, THRESHOLDS, record_all

BEGAN = date(2020, 1, 1)
RULES = Rules()


@dataclass
class World:
    """Devices by number; number n hangs in commune n // each."""

    session: AsyncSession
    each: int
    now: datetime = EIGHT
    devices: list[Device] = field(default_factory=list)
    down: set[int] = field(default_factory=set)
    watch: Watch = field(default_factory=lambda: Watch(RULES))
    started_at: datetime = EIGHT - timedelta(days=1)

    async def build(self, communes: int, operators: Sequence[str] = ("VIETTEL", "MOBI")) -> None:
        """Communes of `each` clusters in villages of five; feeds of ten; operators in turn."""
        session = self.session
        session.add(_area("51", Level.PROVINCE, "tỉnh", "Quảng Ngãi", None))
        plant = Plant(code="P", name="P")
        session.add(plant)
        clusters = []
        villages = []
        for commune in range(communes):
            code = f"21{commune:03}"
            session.add(_area(code, Level.COMMUNE, "xã", f"Nghĩa {commune}", "51"))
            for n in range(self.each):
                village = f"V-{code}-{n // 5}"
                if n % 5 == 0:
                    session.add(_area(village, Level.VILLAGE, "thôn", f"Thôn {n // 5}", code))
                villages.append(village)
                number = commune * self.each + n
                clusters.append(
                    Cluster(code=f"C-{number}", name=f"Cụm {number}", plant_id=0,
                            power_feed=f"F-{number // 10}", evidence=Evidence.TELEMETRY,
                            installed_on=BEGAN)
                )  # fmt: skip
                self.devices.append(Device(code=f"D-{number}", codecs=["opus"], enrolled_at=EIGHT))
        await session.flush()
        for cluster in clusters:
            cluster.plant_id = plant.id
        session.add_all([*clusters, *self.devices])
        await session.flush()
        for number, (cluster, device) in enumerate(zip(clusters, self.devices, strict=True)):
            session.add_all([
                ClusterVillage(cluster_id=cluster.id, village_code=villages[number],
                               valid_from=BEGAN, grade=Grade.PRIMARY),
                Installation(device_id=device.id, cluster_id=cluster.id, installed_at=EIGHT),
                DevicePresence(device_id=device.id, presence="online", since=self.started_at,
                               session=1, seq=1, gone=False, last_seen_at=EIGHT,
                               silent_after=EIGHT + THRESHOLDS.silent, held={},
                               mains=True, operator=operators[number % len(operators)]),
            ])  # fmt: skip
        await touch(session)
        await session.flush()

    def feed(self, number: int) -> list[int]:
        return list(range(number * 10, number * 10 + 10))

    def commune(self, number: int) -> list[int]:
        return list(range(number * self.each, (number + 1) * self.each))

    async def hear(self) -> None:
        """Everybody who is up is heard, each at a second of its own within the last minute."""
        up = [number for number in range(len(self.devices)) if number not in self.down]
        await self.session.execute(
            sa.text("""
                UPDATE device_presence SET seq = seq + 1, last_seen_at = n.at,
                    silent_after = n.at + CAST(:silent AS interval)
                FROM unnest(CAST(:ids AS integer[]), CAST(:at AS timestamptz[])) AS n (id, at)
                WHERE device_id = n.id AND presence = 'online'
            """),
            {
                "ids": [self.devices[number].id for number in up],
                "at": [self.now - (number * 7 % 60) * SECOND for number in up],
                "silent": THRESHOLDS.silent,
            },
        )

    async def fall(self, numbers: Collection[int], **said: object) -> None:
        """These are not heard any more; what their last heartbeat said of mains and operator."""
        await self.hear()
        self.down |= set(numbers)
        if said:
            ids = [self.devices[number].id for number in numbers]
            await self.session.execute(
                sa.update(DevicePresence).where(DevicePresence.device_id.in_(ids)).values(**said)
            )

    async def rise(self, numbers: Collection[int], reason: str | None = None) -> None:
        """These are back; with a boot, if a reason is given."""
        from tests.devices.fleet import beat, boot  # noqa: PLC0415

        self.down -= set(numbers)
        session = int((self.now - EIGHT).total_seconds()) + 2
        who = [self.devices[number] for number in numbers]
        boots = [boot(device, session, self.now, reason=reason) for device in who if reason]
        beats = [beat(device, session, 1, self.now) for device in who]
        await record_all(
            self.session, boots, beats, [], self.now, live=True, thresholds=THRESHOLDS
        )

    async def run(
        self, minutes: float, *, step: timedelta = 30 * SECOND, watched: bool = True
    ) -> None:
        """Time passes: everybody up is heard, the sweep and the watch take their turns."""
        end = self.now + minutes * MINUTE
        while self.now < end:
            self.now = min(self.now + step, end)
            await self.hear()
            await keep_listening(self.session, Listening(self.started_at, self.now))
            await sweep(self.session, self.now, RULES)
            if watched:
                await self.watch.judge(self.session, self.now)

    async def incidents(self, *, closed: bool = False) -> list[Incident]:
        """Incidents that are their own, in the order in which they were noticed."""
        over = Incident.closed_at.is_not(None) if closed else Incident.closed_at.is_(None)
        rows = await self.session.scalars(
            sa.select(Incident).where(over, ~Incident.superseded).order_by(Incident.id)
        )
        return list(rows)

    async def members(self, incident: Incident) -> set[int]:
        """Numbers of the devices of an incident."""
        rows = await self.session.scalars(
            sa.select(Device.code)
            .join(IncidentLoss, IncidentLoss.device_id == Device.id)
            .where(IncidentLoss.incident_id == incident.id)
        )
        return {int(code.removeprefix("D-")) for code in rows}


def _area(code: str, level: Level, kind: str, name: str, parent: str | None) -> Area:
    return Area(code=code, level=level, kind=kind, name=name, parent_code=parent, valid_from=BEGAN)
