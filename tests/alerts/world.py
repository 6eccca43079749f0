"""Alerts over the small province of the dispatcher: two people, and the broker in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.alerts import drills, queries, steps
from broadcast.alerts.drill_schemas import DrillIn
from broadcast.alerts.model import Alert
from broadcast.alerts.schemas import AlertIn, AlertOut, ReplacementIn
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Role
from broadcast.bulletins import revisions
from broadcast.bulletins.revision_audio import attach_audio
from broadcast.kit import db
from broadcast.wire.documents import Alerts
from tests.bulletins import make
from tests.callers import caller
from tests.delivery.world import World

LAN = caller("Lan", Role.DUTY_OFFICER)
HUNG = caller("Hùng", Role.PROVINCE_APPROVER)
SERVICE = caller("Mai", Role.SERVICE)

BODY: dict[str, Any] = {
    "headline": "Xả lũ hồ Nước Trong",
    "event": "dam_release",
    "text": "Hồ xả lũ. Bà con ven sông lên chỗ cao.",
    "targets": [{"area": "21001"}],
}

Step = Callable[[AsyncSession, Alert], Awaitable[object]]


class AlertWorld(World):
    """What people do with alerts, one transaction a step."""

    async def prepared(self, *, opus: bytes = b"alarm", **changes: Any) -> UUID:
        """An alert whose sound is ready."""
        async with db.transaction(self.engine) as session:
            body = AlertIn.model_validate(BODY | changes)
            alert = await steps.prepare(session, body, LAN, self.settings, self.now)
            await self._sound(session, alert, opus)
            return alert.id

    async def received(self, valid: timedelta, **changes: Any) -> UUID:
        """A warning of another authority that expires so much later, proposed."""
        async with db.transaction(self.engine) as session:
            body = AlertIn.model_validate(BODY | changes)
            alert = await steps.propose_received(
                session, body, self.now + valid, SERVICE, self.settings, self.now
            )
            await self._sound(session, alert, b"alarm")
            return alert.id

    async def _sound(self, session: AsyncSession, alert: Alert, opus: bytes) -> None:
        key = (alert.bulletin_id, alert.bulletin_revision)
        revision = await revisions.get_revision(session, *key)
        if revision.seconds is None:
            attach_audio(session, revision, make.prepared(self.content_dir, opus=opus))
            await session.flush()

    async def step(self, alert_id: UUID, take: Step) -> None:
        async with db.transaction(self.engine) as session:
            await take(session, await queries.get_alert(session, alert_id, lock=True))

    async def propose(self, alert_id: UUID, who: Caller = LAN) -> None:
        await self.step(alert_id, lambda s, alert: steps.propose(s, alert, who, self.now))

    async def authorise(self, alert_id: UUID, who: Caller = HUNG) -> None:
        await self.step(alert_id, lambda s, alert: steps.authorise(s, alert, who, self.now))

    async def cancel(self, alert_id: UUID, who: Caller = HUNG) -> None:
        await self.step(alert_id, lambda s, alert: steps.cancel(s, alert, "nhầm", who, self.now))

    async def issued(self, **changes: Any) -> UUID:
        """An alert that two people have let sound."""
        alert_id = await self.prepared(**changes)
        await self.propose(alert_id)
        await self.authorise(alert_id)
        return alert_id

    async def replaced(self, alert_id: UUID, kind: str = "update", **changes: Any) -> UUID:
        """What is to take the place of an alert, proposed."""
        given = {"headline": "Cập nhật", "text": "Nước đang rút.", "kind": kind}
        body = ReplacementIn.model_validate(given | changes)
        async with db.transaction(self.engine) as session:
            alert = await queries.get_alert(session, alert_id, lock=True)
            new = await steps.replace(session, alert, body, LAN, self.settings, self.now)
            await self._sound(session, new, b"update")
        await self.propose(new.id)
        return new.id

    async def drill(self, hours: float = 1, **changes: Any) -> UUID:
        """A drill that is on since a minute."""
        given = {
            "title": "Diễn tập quý",
            "area_code": "21001",
            "starts_at": self.now - timedelta(minutes=1),
            "ends_at": self.now + timedelta(hours=hours),
        }
        async with db.transaction(self.engine) as session:
            body = DrillIn.model_validate(given | changes)
            return (await drills.create(session, body, HUNG, self.now)).id

    async def shown(self, alert_id: UUID) -> AlertOut:
        async with db.transaction(self.engine) as session:
            alert = await queries.get_alert(session, alert_id)
            return (await queries.shown(session, [alert], self.now))[0]

    def alerts(self, scope: str = "area/21001") -> Alerts:
        document = self.broker.document(f"{scope}/state/alerts")
        assert isinstance(document, Alerts)
        return document
