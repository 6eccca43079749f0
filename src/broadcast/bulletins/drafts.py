"""Drafts: a form that survives a closed browser, with its sound, until it becomes a revision.

One per person and page; theirs alone. A recording lies whole beside its draft, so that it is
trimmed as often as one likes; what is trimmed is prepared anew from it. A text is read aloud by
the same queue, under the same key as that of the revision which is made of it later: what was
heard is what is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.areas import scope
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.bulletins import creation, phrases, places, preparations, revisions
from broadcast.bulletins.audio.prepared import Framing, Prepared, Trim
from broadcast.bulletins.draft_schemas import DraftIn
from broadcast.bulletins.model import Bulletin, Draft, Preparation, PreparationState, Revision
from broadcast.bulletins.preparations import Source
from broadcast.bulletins.revision_audio import release_preparation
from broadcast.bulletins.schemas import BulletinIn, RevisionIn
from broadcast.bulletins.source_requests import Recording, Sound
from broadcast.bulletins.station_lexicon import require_station
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.kit.validation import invalid
from broadcast.wire.fields import BulletinClass

M = TypeVar("M", bound=RevisionIn)

_OF_BULLETIN = ("title", "class", "language", "subject", "tags", "area_code", "phrase")

_OF_SOUND = ("text", "area_code", "phrase")
"""Fields that change how a text sounds."""

NEW = "new"
"""Page of a bulletin that there is not yet; that of another is its id."""

ALERT = "alert"
"""Page of an alert or a template of alerts, for what somebody says into the microphone."""

_OF_NONE = frozenset({NEW, ALERT})
"""Pages of no bulletin that there is."""


class DraftDetails(NamedTuple):
    """A draft and the preparation of its sound, None where it has none."""

    draft: Draft
    preparation: Preparation | None

    @property
    def prepared(self) -> Prepared | None:
        """The sound, once it is ready."""
        row = self.preparation
        is_ready = row is not None and row.state is PreparationState.DONE
        return preparations.result_of(row) if row is not None and is_ready else None


async def find(
    session: AsyncSession, caller: Caller, page: str, *, lock: bool = False
) -> Draft | None:
    """The caller's draft of a page."""
    return await session.get(Draft, (caller.account_id, page), with_for_update=lock)


async def get(
    session: AsyncSession, caller: Caller, page: str, *, lock: bool = False
) -> DraftDetails:
    """The caller's draft of a page, with its sound.

    Raises:
        NotFound: There is none.
    """
    draft = await find(session, caller, page, lock=lock)
    if draft is None:
        raise NotFound("Chưa có bản nháp nào ở trang này; hãy nhập nội dung trước.")
    return await _details(session, draft)


async def _details(session: AsyncSession, draft: Draft) -> DraftDetails:
    row = None
    if draft.preparation_id is not None:
        row = await session.get(Preparation, draft.preparation_id, populate_existing=True)
    return DraftDetails(draft, row)


async def save(
    session: AsyncSession,
    caller: Caller,
    page: str,
    form: DraftIn,
    settings: config.Settings,
    now: datetime,
) -> DraftDetails:
    """Keep what was typed, finished or not.

    A text that was read aloud and would be read otherwise now is unread. A recording that would
    sound otherwise is prepared anew: it became a phrase, or phrases around it have changed.

    Raises:
        NotFound: The page is that of a bulletin that the caller cannot read.
        Forbidden: Or cannot change.
    """
    draft = await _begin(session, caller, page, now)
    before = draft.form
    draft.form = form.model_dump(mode="json", by_alias=True)
    draft.saved_at = now
    changed = {name for name in _OF_SOUND if before.get(name) != draft.form[name]}
    if changed and draft.source_file is None:
        await _replace(session, draft, None, now)
    await session.flush()
    found = await _details(session, draft)
    if found.preparation is not None and draft.source_file is not None:
        source = await _recorded(session, draft, preparations.trim_of(found.preparation))
        await _prepare(session, draft, source, settings, now)
        found = await _details(session, draft)
    return found


async def unread(session: AsyncSession, caller: Caller, page: str, now: datetime) -> bool:
    """Give up the reading of a text whose words were corrected; tells whether there was one."""
    draft = await find(session, caller, page, lock=True)
    if draft is None or draft.source_file is not None or draft.preparation_id is None:
        return False
    await _replace(session, draft, None, now)
    return True


async def next_form(session: AsyncSession, bulletin: Bulletin) -> DraftIn:
    """The form of a bulletin's next revision before anybody changed it."""
    made = await revisions.of_bulletin(session, bulletin.id)
    original = None
    if bulletin.version_of is not None:
        original = await revisions.newest_approved(session, bulletin.version_of)
    return DraftIn.model_validate(
        {
            "title": bulletin.title,
            "area_code": bulletin.area_code,
            "class": bulletin.class_.value,
            "language": bulletin.language,
            "text": (made[0].text if made else "") or "",
            "original_revision": original and original.number,
        }
    )


async def _begin(
    session: AsyncSession,
    caller: Caller,
    page: str,
    now: datetime,
    original_revision: int | None = None,
) -> Draft:
    bulletin = None
    if page not in _OF_NONE:
        await places.require_at_bulletin(session, caller, Permission.BULLETIN_WRITE, UUID(page))
        bulletin = await revisions.get_bulletin(session, UUID(page))
    else:
        await scope.require_somewhere(session, caller, Permission.BULLETIN_WRITE)
    draft = await find(session, caller, page, lock=True)
    if draft is None:
        form = DraftIn() if bulletin is None else await next_form(session, bulletin)
        if original_revision is not None:
            form.original_revision = original_revision
        new = insert(Draft).values(
            account_id=caller.account_id, page=page, source_name="", saved_at=now,
            form=form.model_dump(mode="json", by_alias=True),
        )  # fmt: skip
        await session.execute(new.on_conflict_do_nothing())  # the same person, twice at once
        draft = await find(session, caller, page, lock=True)
    assert draft is not None
    return draft


async def _replace(
    session: AsyncSession, draft: Draft, preparation: Preparation | None, now: datetime
) -> None:
    """Give a draft other sound; what it had is given up."""
    before = draft.preparation_id
    draft.preparation_id = None if preparation is None else preparation.id
    await session.flush()
    if before != draft.preparation_id:
        await release_preparation(session, before, now)


async def read_aloud(
    session: AsyncSession, caller: Caller, page: str, settings: config.Settings, now: datetime
) -> DraftDetails:
    """Have the text of a draft read aloud; a recording that it had goes.

    Raises:
        NotFound: There is no such draft.
        InvalidInput: Its text cannot be read, and why.
        Forbidden: The station is not one of the caller's.
    """
    draft = (await get(session, caller, page, lock=True)).draft
    body = _checked(RevisionIn, {"text": draft.form["text"]})
    if body.text is None:
        raise InvalidInput("text", "còn trống; hãy nhập văn bản cần đọc")
    area_code, language = await _station(session, caller, draft, now)
    creation.require_readable(language, body.text)
    on = now.astimezone(LOCAL).date()
    script = await creation.script_from(session, area_code, body.text, on)
    assert script is not None
    draft.source_file = draft.source_sha256 = None
    draft.source_name = ""
    await _prepare(session, draft, Source.of_text(script), settings, now)
    return await _details(session, draft)


async def _station(
    session: AsyncSession, caller: Caller, draft: Draft, now: datetime
) -> tuple[str, str]:
    """Unit whose station speaks, and the language."""
    if draft.page not in _OF_NONE:
        bulletin = await revisions.get_bulletin(session, UUID(draft.page))
        return bulletin.area_code, bulletin.language
    area_code = str(draft.form["area_code"])
    await scope.require(session, caller, Permission.BULLETIN_WRITE, [area_code])
    await require_station(session, area_code, now.astimezone(LOCAL).date())
    return area_code, str(draft.form["language"])


async def _prepare(
    session: AsyncSession, draft: Draft, source: Source, settings: config.Settings, now: datetime
) -> None:
    try:
        class_ = BulletinClass(draft.form["class"])
    except ValueError:
        class_ = BulletinClass.NORMAL
    is_phrase = bool(draft.form.get("phrase"))
    if draft.page not in _OF_NONE:
        bulletin = await revisions.get_bulletin(session, UUID(draft.page))
        is_phrase = bulletin.phrase is not None
    audio = creation.audio_for(settings.audio, is_phrase=is_phrase)
    if draft.page == ALERT:  # an alert has a tone of its own before it
        class_, audio = BulletinClass.EMERGENCY, audio.model_copy(update={"chime": False})
    preparation = await preparations.enqueue(
        session, source, audio, settings.content_dir, class_, now
    )
    draft.saved_at = now
    await _replace(session, draft, preparation, now)


async def record(
    session: AsyncSession,
    caller: Caller,
    page: str,
    name: str,
    source: Source,
    settings: config.Settings,
    now: datetime,
    original_revision: int | None = None,
) -> DraftDetails:
    """Give a draft a recording, whole; whatever sound it had goes.

    `original_revision`: of a version, what its reader saw, for a draft that begins with this.

    Raises:
        NotFound: The page is that of a bulletin that the caller cannot read.
        Forbidden: Or cannot change.
    """
    draft = await _begin(session, caller, page, now, original_revision)
    draft.source_file, draft.source_sha256, draft.source_name = source.file, source.sha256, name
    draft.before, draft.after = [], []
    await _prepare(session, draft, source, settings, now)
    return await _details(session, draft)


async def trim(
    session: AsyncSession,
    caller: Caller,
    page: str,
    chosen: Trim,
    settings: config.Settings,
    now: datetime,
) -> DraftDetails:
    """Have a part of a draft's recording prepared; the recording itself stays whole.

    Raises:
        NotFound: There is no such draft.
        InvalidInput: It has no recording.
    """
    draft = (await get(session, caller, page, lock=True)).draft
    if draft.source_file is None:
        raise InvalidInput("start_seconds", "chỉ cắt được bản thu; hãy thu hoặc tải tệp lên trước")
    if draft.before or draft.after:
        raise InvalidInput("start_seconds", "hãy bỏ câu mẫu đã ghép trước khi cắt bản thu")
    source = await _recorded(session, draft, None if chosen == Trim() else chosen)
    await _prepare(session, draft, source, settings, now)
    return await _details(session, draft)


async def _recorded(session: AsyncSession, draft: Draft, chosen: Trim | None) -> Source:
    assert draft.source_sha256 is not None
    framing = None
    if draft.before or draft.after:
        before = await phrases.sounds(session, draft.before)
        after = await phrases.sounds(session, draft.after)
        framing = Framing(tone=False, repeats=1, before=before, others=after, is_joined=True)
    return Source(draft.source_sha256, file=draft.source_file, trim=chosen, framing=framing)


async def compose(
    session: AsyncSession,
    caller: Caller,
    page: str,
    before: Sequence[UUID],
    after: Sequence[UUID],
    settings: config.Settings,
    now: datetime,
) -> DraftDetails:
    """Put phrases of the bank before and after the recording of a draft.

    Raises:
        NotFound: There is no such draft.
        InvalidInput: It has no recording, or a phrase cannot be used.
    """
    draft, preparation = await get(session, caller, page, lock=True)
    if draft.source_file is None:
        raise InvalidInput("before", "chỉ ghép được vào bản thu; hãy thu hoặc tải tệp lên trước")
    language = str(draft.form["language"])
    if draft.page not in _OF_NONE:
        language = (await revisions.get_bulletin(session, UUID(draft.page))).language
    for field, chosen in (("before", before), ("after", after)):
        await phrases.require(session, field, chosen, language)
    draft.before, draft.after = [str(each) for each in before], [str(each) for each in after]
    trimmed = None if preparation is None else preparations.trim_of(preparation)
    source = await _recorded(session, draft, trimmed)
    await _prepare(session, draft, source, settings, now)
    return await _details(session, draft)


async def drop_sound(
    session: AsyncSession, caller: Caller, page: str, now: datetime
) -> DraftDetails:
    """Discard the sound of a draft, and keep its words.

    Raises:
        NotFound: There is no such draft.
    """
    draft = (await get(session, caller, page, lock=True)).draft
    draft.source_file = draft.source_sha256 = None
    draft.source_name = ""
    await _replace(session, draft, None, now)
    return await _details(session, draft)


async def discard(session: AsyncSession, caller: Caller, page: str, now: datetime) -> None:
    """Throw a draft away, with its sound.

    Raises:
        NotFound: There is none.
    """
    await _end(session, (await get(session, caller, page, lock=True)).draft, now)


async def _end(session: AsyncSession, draft: Draft, now: datetime) -> None:
    preparation_id = draft.preparation_id
    await session.delete(draft)
    await session.flush()
    await release_preparation(session, preparation_id, now)


async def finish(
    session: AsyncSession, caller: Caller, page: str, settings: config.Settings, now: datetime
) -> tuple[Bulletin, Revision]:
    """Make a draft the bulletin's next revision, of a new bulletin the first; the draft goes.

    Raises:
        NotFound: There is no such draft.
        InvalidInput: A field is missing or wrong, and which.
        Forbidden: The station is not one of the caller's.
    """
    draft, preparation = await get(session, caller, page, lock=True)
    if preparation is not None and preparation.state is PreparationState.REFUSED:
        raise InvalidInput("text" if draft.source_file is None else "file", preparation.detail)
    sound: Sound
    if draft.source_file is not None:
        assert preparation is not None
        source = await _recorded(session, draft, preparations.trim_of(preparation))
        sound = Recording(draft.source_name)
    else:
        body = _checked(RevisionIn, {"text": draft.form["text"]})
        if body.text is None:
            raise InvalidInput("text", "còn trống; hãy nhập văn bản, thu âm hoặc tải tệp lên")
        sound = body.text
    if page in _OF_NONE:
        made = _checked(BulletinIn, {name: draft.form.get(name) for name in _OF_BULLETIN})
    area_code, language = await _station(session, caller, draft, now)
    creation.require_readable(language, sound)
    if isinstance(sound, str):
        on = now.astimezone(LOCAL).date()
        script = await creation.script_from(session, area_code, sound, on)
        assert script is not None
        source = Source.of_text(script)
    if page in _OF_NONE:
        bulletin, revision = await creation.create_bulletin(
            session, made, sound, source, settings, caller, now
        )
    else:
        await places.require_at_bulletin(session, caller, Permission.BULLETIN_WRITE, UUID(page))
        bulletin = await revisions.get_bulletin(session, UUID(page), lock=True)
        revision = await creation.add_revision(
            session, bulletin, sound, source, settings, caller, now,
            draft.form.get("original_revision"),
        )  # fmt: skip
    await _end(session, draft, now)
    return bulletin, revision


def _checked(model: type[M], fields: dict[str, object]) -> M:
    given = {name: value for name, value in fields.items() if value not in {"", None}}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid(error.errors()) from None
