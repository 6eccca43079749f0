"""Versions of a bulletin: asked of readers, confirmed, and how each of them stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.grants import in_force
from broadcast.areas import scope
from broadcast.auth import second_factor
from broadcast.auth.caller import Caller
from broadcast.auth.model import Account, AccountState, Grant
from broadcast.auth.permissions import PERMISSIONS, Permission
from broadcast.bulletins import revisions
from broadcast.bulletins.model import Bulletin, Revision, RevisionState
from broadcast.bulletins.places import require_at_bulletin
from broadcast.bulletins.station_lexicon import require_station
from broadcast.bulletins.version_model import VersionMatch, VersionRequest
from broadcast.bulletins.versions import match, require_understanding
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, Forbidden, InvalidInput, NotFound
from broadcast.kit.languages import named
from broadcast.languages.state import VersionState, state_of

log = structlog.get_logger()

LONGEST_WAIT = timedelta(days=366)

WRITERS = tuple(role for role, may in PERMISSIONS.items() if Permission.BULLETIN_WRITE in may)


class Standing(NamedTuple):
    """A version, and how it stands.

    Attributes:
        version: The bulletin.
        state: Against the newest approved revision of the original.
        original_revision: That one; None where nothing of the original is approved.
        revision: Its newest revision; None where nobody has read it yet.
        approved_revision: Its newest approved one, of whatever it says.
        request: The newest that was not cancelled.
    """

    version: Bulletin
    state: VersionState
    original_revision: int | None
    revision: Revision | None
    approved_revision: int | None
    request: VersionRequest | None


async def readers(
    session: AsyncSession, language: str, area_code: str, on: date
) -> list[tuple[int, str]]:
    """People who know a language and may write bulletins of a station, by name."""
    territory = await scope.territory_of(session)
    above = territory.chains.get(area_code, frozenset({area_code}))
    rows = await session.execute(
        sa.select(Account.id, Account.name)
        .join(Grant, Grant.account_id == Account.id)
        .where(
            Account.languages.contains([language]),
            Account.state == AccountState.ACTIVE,
            in_force(on),
            Grant.role.in_(WRITERS),
            sa.or_(Grant.area_code.is_(None), Grant.area_code.in_(above)),
        )
        .distinct()
        .order_by(Account.name, Account.id)
    )
    return [(id_, name) for id_, name in rows]


async def ask(
    session: AsyncSession,
    bulletin_id: UUID,
    language: str,
    area_code: str | None,
    reader_id: int,
    due_at: datetime,
    note: str,
    caller: Caller,
    now: datetime,
) -> VersionRequest:
    """Ask somebody to read a bulletin in their language; an earlier request of it ends.

    Args:
        session: Open transaction.
        bulletin_id: The original; its newest approved revision is to be read.
        language: In which.
        area_code: Whose station reads and approves; None: that of the original.
        reader_id: Who reads.
        due_at: Until when.
        note: For the reader.
        caller: Who asks.
        now: Present.

    Raises:
        NotFound: There is no such bulletin.
        Forbidden: The caller may not write at its station, or at the one that is to read.
        Conflict: Nothing of it is approved.
        InvalidInput: It is a version or a phrase itself, or of this language; or the reader does
            not know it, or may not write there; or the deadline is not in the coming year.
    """
    await require_at_bulletin(session, caller, Permission.BULLETIN_WRITE, bulletin_id)
    original = await revisions.get_bulletin(session, bulletin_id, lock=True)
    if original.version_of is not None or original.phrase is not None:
        raise InvalidInput("bulletin_id", "là bản dịch hoặc câu mẫu; hãy giao từ bản tin gốc")
    if language == original.language:
        raise InvalidInput("language", "là tiếng của chính bản tin; hãy chọn tiếng khác")
    newest = await revisions.newest_approved(session, bulletin_id)
    if newest is None:
        raise Conflict("Bản tin chưa được duyệt; hãy trình duyệt trước rồi giao đọc.")
    if not now < due_at <= now + LONGEST_WAIT:
        raise InvalidInput("due_at", "phải ở tương lai, trong vòng một năm")
    place = area_code or original.area_code
    await scope.require(session, caller, Permission.BULLETIN_WRITE, [place])
    on = now.astimezone(LOCAL).date()
    await require_station(session, place, on)
    if reader_id not in {id_ for id_, _ in await readers(session, language, place, on)}:
        raise InvalidInput(
            "reader_id",
            f"không phải người biết {named(language)} được soạn tin ở đài này; hãy chọn người"
            " khác, hoặc nhờ người quản trị ghi tiếng vào tài khoản",
        )
    version = await session.scalar(
        sa.select(Bulletin)
        .where(Bulletin.version_of == bulletin_id, Bulletin.language == language)
        .with_for_update()
    )
    if version is None:
        version = Bulletin(
            id=uuid4(), title=original.title, class_=original.class_, language=language,
            subject=original.subject, tags=list(original.tags), area_code=place,
            version_of=bulletin_id, created_by=caller.account_id, created_at=now,
        )  # fmt: skip
        session.add(version)
        await session.flush()
    elif version.area_code != place:
        if await revisions.of_bulletin(session, version.id):
            raise InvalidInput(
                "area_code", f"bản này do đài {version.area_code} đọc; hãy giao người của đài đó"
            )
        version.area_code = place
    await _end_requests(session, version.id, now)
    request = VersionRequest(
        id=uuid4(), version_id=version.id, original_revision=newest.number, reader_id=reader_id,
        due_at=due_at, note=note, asked_by=caller.account_id, asked_at=now, cancelled_at=None,
    )  # fmt: skip
    session.add(request)
    await session.flush()
    log.info("languages.version.asked", version_id=str(version.id), reader=reader_id)
    return request


async def _end_requests(session: AsyncSession, version_id: UUID, now: datetime) -> None:
    for each in await session.scalars(
        sa.select(VersionRequest)
        .where(VersionRequest.version_id == version_id, VersionRequest.cancelled_at.is_(None))
        .with_for_update()
    ):
        each.cancelled_at = now


def no_request(request_id: UUID) -> NotFound:
    """What is answered of a request that there is not, or that the caller may not see."""
    return NotFound(f"Không có việc giao đọc {request_id}.")


async def cancel(
    session: AsyncSession, request_id: UUID, caller: Caller, now: datetime
) -> VersionRequest:
    """Take a request back; what was recorded stays.

    Raises:
        NotFound: There is none.
        Forbidden: The caller may not write at the station of the original.
    """
    request = await session.get(VersionRequest, request_id, with_for_update=True)
    if request is None:
        raise no_request(request_id)
    version = await revisions.get_bulletin(session, request.version_id)
    assert version.version_of is not None
    original = await revisions.get_bulletin(session, version.version_of)
    thing = sa.select(VersionRequest.id).where(VersionRequest.id == request_id)
    await scope.require(
        session, caller, Permission.BULLETIN_WRITE, [original.area_code], thing,
        no_request(request_id),
    )  # fmt: skip
    request.cancelled_at = request.cancelled_at or now
    await session.flush()
    return request


async def confirm(
    session: AsyncSession,
    version_id: UUID,
    number: int,
    original_revision: int,
    caller: Caller,
    now: datetime,
) -> Standing:
    """Say of a version that it still says what its original says now.

    By somebody who knows the language, approves at its station and did not read it.

    Args:
        session: Open transaction.
        version_id: The version.
        number: Its revision that was heard.
        original_revision: The revision of its original that it was held against.
        caller: Who says so.
        now: Present.

    Raises:
        NotFound: There is no such bulletin.
        InvalidInput: It is no version.
        Conflict: Nothing of it, or of its original, is approved, or something newer is by now.
        Forbidden: The caller may not, does not know the language, or has read it.
    """
    await require_at_bulletin(session, caller, Permission.BULLETIN_APPROVE, version_id)
    version = await revisions.get_bulletin(session, version_id, lock=True)
    if version.version_of is None:
        raise InvalidInput("bulletin_id", "không phải bản dịch; chỉ xác nhận bản dịch")
    second_factor.check(caller.second_factor_until, Permission.BULLETIN_APPROVE, now)
    await require_understanding(session, caller.account_id, version.language)
    revision = await revisions.newest_approved(session, version_id)
    original = await revisions.newest_approved(session, version.version_of)
    if revision is None or original is None:
        raise Conflict("Chưa có bản nào được duyệt để xác nhận; hãy giao đọc bản mới.")
    if (revision.number, original.number) != (number, original_revision):
        raise Conflict(
            "Bản đọc hoặc bản gốc đã có phiên bản khác; hãy tải lại trang, nghe lại rồi xác nhận."
        )
    if revision.created_by == caller.account_id:
        raise Forbidden("Người đọc không tự xác nhận bản của mình; hãy nhờ người khác nghe lại.")
    key = (version_id, revision.number)
    await match(session, key, original.number, caller.account_id, now)
    (standing,) = await standings(session, [version])
    return standing


async def of_original(session: AsyncSession, bulletin_id: UUID) -> list[Standing]:
    """Versions of a bulletin, by language."""
    found = await session.scalars(
        sa.select(Bulletin).where(Bulletin.version_of == bulletin_id).order_by(Bulletin.language)
    )
    return await standings(session, found.all())


async def standings(session: AsyncSession, versions: Iterable[Bulletin]) -> list[Standing]:
    """How versions stand, in the order given."""
    versions = list(versions)
    ids = [each.id for each in versions]
    originals = {each.version_of for each in versions}
    rows = await session.execute(
        sa.select(Revision.bulletin_id, sa.func.max(Revision.number))
        .where(Revision.bulletin_id.in_(originals), Revision.state == RevisionState.APPROVED)
        .group_by(Revision.bulletin_id)
    )
    newest = {row[0]: row[1] for row in rows}
    of_version: defaultdict[UUID, list[Revision]] = defaultdict(list)
    for revision in await session.scalars(
        sa.select(Revision).where(Revision.bulletin_id.in_(ids)).order_by(Revision.number)
    ):
        of_version[revision.bulletin_id].append(revision)
    matches: defaultdict[tuple[UUID, int], set[int]] = defaultdict(set)
    for each in await session.scalars(
        sa.select(VersionMatch).where(VersionMatch.bulletin_id.in_(ids))
    ):
        matches[each.bulletin_id, each.revision].add(each.original_revision)
    requests: dict[UUID, VersionRequest] = {
        each.version_id: each
        for each in await session.scalars(
            sa.select(VersionRequest)
            .where(VersionRequest.version_id.in_(ids), VersionRequest.cancelled_at.is_(None))
            .order_by(VersionRequest.asked_at)
        )
    }
    return [
        _standing(
            each,
            newest.get(each.version_of) if each.version_of else None,
            of_version[each.id],
            matches,
            requests.get(each.id),
        )
        for each in versions
    ]


def _standing(
    version: Bulletin,
    original: int | None,
    made: list[Revision],
    matches: dict[tuple[UUID, int], set[int]],
    request: VersionRequest | None,
) -> Standing:
    fitting = [
        each
        for each in made
        if original in matches.get((version.id, each.number), ())
        and each.state is not RevisionState.WITHDRAWN
    ]
    approved = [each.number for each in made if each.state is RevisionState.APPROVED]
    return Standing(
        version,
        state_of(
            fitting[-1].state if fitting else None,
            has_approved=any(each.state is RevisionState.APPROVED for each in fitting),
            has_earlier=bool(approved),
        ),
        original,
        made[-1] if made else None,
        approved[-1] if approved else None,
        request,
    )


def select_requests(
    *, reader_id: int | None, language: str | None, only_open: bool
) -> sa.Select[*tuple[Any, ...]]:
    """Statement of requests that were not cancelled, with the version."""
    statement: sa.Select[*tuple[Any, ...]] = (
        sa.select(VersionRequest, Bulletin)
        .join(Bulletin, Bulletin.id == VersionRequest.version_id)
        .where(VersionRequest.cancelled_at.is_(None))
    )
    if reader_id is not None:
        statement = statement.where(VersionRequest.reader_id == reader_id)
    if language is not None:
        statement = statement.where(Bulletin.language == language)
    if only_open:
        done = (
            sa.exists()
            .where(
                VersionMatch.bulletin_id == VersionRequest.version_id,
                VersionMatch.original_revision == VersionRequest.original_revision,
                Revision.bulletin_id == VersionMatch.bulletin_id,
                Revision.number == VersionMatch.revision,
                Revision.state.in_([RevisionState.SUBMITTED, RevisionState.APPROVED]),
            )
            .correlate(VersionRequest)
        )
        statement = statement.where(~done)
    return statement


async def count_open(session: AsyncSession, reader_id: int) -> int:
    """How many requests wait for a reader."""
    statement = select_requests(reader_id=reader_id, language=None, only_open=True)
    counted = sa.select(sa.func.count()).select_from(statement.subquery())
    return await session.scalar(counted) or 0


async def originals_of(
    session: AsyncSession, versions: Collection[Bulletin]
) -> dict[UUID, Bulletin]:
    """Originals of versions, by id."""
    ids = {each.version_of for each in versions}
    found = await session.scalars(sa.select(Bulletin).where(Bulletin.id.in_(ids)))
    return {each.id: each for each in found}
