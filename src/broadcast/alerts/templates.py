"""Templates: alerts whose sound is made, approved and on the devices before anybody needs it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.alerts import sound
from broadcast.alerts.model import AlertTemplate
from broadcast.alerts.schemas import SoundIn
from broadcast.alerts.template_schemas import AlertTemplateIn, AlertTemplateOut
from broadcast.areas import scope
from broadcast.auth import second_factor
from broadcast.auth.caller import Caller
from broadcast.auth.people import People, people
from broadcast.auth.permissions import Permission
from broadcast.bulletins.audio.prepared import Framing
from broadcast.bulletins.model import Revision, RevisionState
from broadcast.bulletins.station_lexicon import require_station
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import NotFound
from broadcast.web.rest import Page, Paging, paged


async def create(
    session: AsyncSession,
    body: AlertTemplateIn,
    caller: Caller,
    settings: config.Settings,
    now: datetime,
) -> AlertTemplate:
    """A new template; its bulletin is submitted and approved as any emergency bulletin.

    Raises:
        InvalidInput: A field; says which.
        Forbidden: The caller may not there.
        Conflict: A bulletin that it names is not approved.
    """
    await require_station(session, body.area_code, now.astimezone(LOCAL).date())
    await scope.require(session, caller, Permission.EMERGENCY_PROPOSE, [body.area_code])
    others = []
    languages = ["vi"]
    for bulletin_id in body.also_bulletins:
        language, sha256 = await sound.approved_words(session, bulletin_id, caller)
        others.append(sha256)
        languages.append(language)
    framing = Framing(body.tone, body.repeats, others=tuple(others))
    said = SoundIn(text=body.text, bulletin_id=body.bulletin_id, recording=body.recording)
    revision = await sound.make(
        session, said, framing, body.title, body.area_code, settings, caller, now
    )
    texts = {} if revision.text is None else {"vi": revision.text}
    template = AlertTemplate(
        id=uuid4(),
        title=body.title,
        event=body.event,
        area_code=body.area_code,
        texts={**body.translations, **texts},
        languages=languages,
        tone=body.tone,
        repeats=body.repeats,
        valid_minutes=body.valid_minutes,
        bulletin_id=revision.bulletin_id,
        created_by=caller.account_id,
        created_at=now,
    )
    session.add(template)
    await session.flush()
    await sound.kept_ready(session, revision.bulletin_id, ready=True)
    return template


async def get_template(
    session: AsyncSession, template_id: UUID, *, lock: bool = False
) -> AlertTemplate:
    """A template, in use or not.

    Raises:
        NotFound: There is none.
    """
    template = await session.get(AlertTemplate, template_id, with_for_update=lock)
    if template is None:
        raise _no_template(template_id)
    return template


async def withdraw(
    session: AsyncSession, template: AlertTemplate, caller: Caller, now: datetime
) -> None:
    """Use a template no more; devices need not hold it. Repeating changes nothing.

    Raises:
        Forbidden: The caller may not there, or not without a second factor.
    """
    second_factor.check(caller.second_factor_until, Permission.EMERGENCY_WRITE, now)
    thing = sa.select(AlertTemplate.id).where(AlertTemplate.id == template.id)
    await scope.require(
        session, caller, Permission.EMERGENCY_WRITE, [template.area_code], thing,
        _no_template(template.id),
    )  # fmt: skip
    template.withdrawn_at = template.withdrawn_at or now
    await sound.kept_ready(session, template.bulletin_id, ready=False)


async def shown(
    session: AsyncSession, templates: Iterable[AlertTemplate], known: People | None = None
) -> list[AlertTemplateOut]:
    """Templates as answers show them, by the newest revision of each that was not given up."""
    rows = list(templates)
    known = known or await people(session, (row.created_by for row in rows))
    newest: dict[UUID, Revision] = {}
    for revision in await session.scalars(
        sa.select(Revision)
        .where(Revision.bulletin_id.in_(row.bulletin_id for row in rows))
        .order_by(Revision.state == RevisionState.APPROVED, Revision.number)
    ):
        newest[revision.bulletin_id] = revision
    keys = {(each.bulletin_id, each.number) for each in newest.values()}
    made = await sound.sounds(session, keys)
    return [
        AlertTemplateOut.of(
            row, made[revision.bulletin_id, revision.number], revision.state, known
        )
        for row in rows
        for revision in (newest[row.bulletin_id],)
    ]


async def page_of(
    session: AsyncSession, paging: Paging, *, withdrawn: bool, newest_first: bool
) -> Page[AlertTemplateOut]:
    """One page of the templates in use, or of those that are not."""
    key = [AlertTemplate.created_at, AlertTemplate.id]
    statement = select_templates(withdrawn=withdrawn)
    found = await paged(session, statement, key, paging, backwards=newest_first)
    by_id = {each.id: each for each in await shown(session, [row for (row,) in found.rows])}
    return found.page(lambda row: by_id[row.id])


def select_templates(*, withdrawn: bool) -> sa.Select[AlertTemplate]:
    """The statement of the templates in use, or of those that are not."""
    is_withdrawn = AlertTemplate.withdrawn_at.is_not(None)
    return sa.select(AlertTemplate).where(is_withdrawn if withdrawn else ~is_withdrawn)


def _no_template(template_id: UUID) -> NotFound:
    return NotFound(f"Không có mẫu cảnh báo {template_id}.")
