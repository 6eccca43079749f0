"""Registers from files: what each row would become, and then the import itself.

Nothing is kept between the two: the browser sends the files again, and the second time they must
be those of the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import File, Form, Request, Response, UploadFile
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts import reader_import
from broadcast.areas import imports as area_imports
from broadcast.areas import row_imports, scope, village_languages, villages
from broadcast.auth import second_factor
from broadcast.auth.caller import Caller, Reader
from broadcast.auth.permissions import Permission
from broadcast.console.admin.under_way import ImportsDep, StoringDep
from broadcast.console.page import PageRouter, page
from broadcast.console.words import N_
from broadcast.devices.imports import DEVICES, devices_kind
from broadcast.kit import clock, sheets
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.kit.progress import counted
from broadcast.kit.sheets import Fate, Report, Sheet
from broadcast.regulations import entering
from broadcast.regulations import sheet as regulation_sheet
from broadcast.schedules import regulation_import
from broadcast.stations.imports import KINDS
from broadcast.web.files import received
from broadcast.web.rest import Session

router = PageRouter()

SHOWN = 500
"""Rows of a preview on the page; all are counted."""

FATES = {
    Fate.ADDED: ("ok", N_("thêm")),
    Fate.CHANGED: ("partial", N_("sửa")),
    Fate.UNCHANGED: ("unknown", N_("giữ nguyên")),
    Fate.REFUSED: ("bad", N_("từ chối")),
}


class Attempt(NamedTuple):
    """Files that somebody wants to be imported."""

    session: AsyncSession
    files: Sequence[sheets.File]
    caller: Caller
    dry_run: bool
    silences: bool = False
    """Planned starts may fall silent."""

    def only(self) -> sheets.File:
        """The file, where there is to be one.

        Raises:
            InvalidInput: There are several.
        """
        if len(self.files) != 1:
            raise InvalidInput("files", "gửi một tệp; các tệp khác hãy nhập sau")
        return self.files[0]

    async def of_kinds(self, *kinds: row_imports.Kind[Any, Any]) -> Report:
        """Files of these kinds, row by row."""
        files = self.files if len(kinds) > 1 else [self.only()]
        return await row_imports.import_files(self.session, files, kinds, dry_run=self.dry_run)


class Kind(NamedTuple):
    """Files that are imported together."""

    name: str
    permission: Permission
    sheets: tuple[Sheet, ...]  # type: ignore[type-arg]
    run: Callable[[Attempt], Awaitable[Report]]


async def _areas(this: Attempt) -> Report:
    units, steps = sorted_areas(this.files)
    return await area_imports.import_areas(this.session, units, steps, dry_run=this.dry_run)


def sorted_areas(
    files: Sequence[sheets.File],
) -> tuple[sheets.File | None, sheets.File | None]:
    """Units and lineage, each known by its header.

    Raises:
        InvalidInput: A header fits neither, or there are two of a kind.
    """
    found: dict[str, sheets.File] = {}
    for file in files:
        for sheet in (area_imports.AREAS, area_imports.LINEAGE):
            if sheets.fits(sheet, file):
                if sheet.kind in found:
                    raise InvalidInput("files", f"có hai tệp cùng loại với {file.name}; bỏ một")
                found[sheet.kind] = file
                break
        else:
            raise InvalidInput(
                "files", f"dòng đầu của {file.name} không khớp; xem các cột bên dưới"
            )
    return found.get("areas"), found.get("lineage")


async def _villages(this: Attempt) -> Report:
    return await villages.import_villages(this.session, this.only(), dry_run=this.dry_run)


async def _regulations(this: Attempt) -> Report:
    return await regulation_import.import_rows(
        this.session, this.only(), this.caller, clock.now(), silences=this.silences,
        dry_run=this.dry_run,
    )  # fmt: skip


IMPORTS = {
    "stations": Kind(
        N_("Nhập danh sách đài, hệ thống, cụm loa"), Permission.REGISTER_WRITE,
        tuple(kind.sheet for kind in KINDS), lambda this: this.of_kinds(*KINDS),
    ),
    "devices": Kind(
        N_("Nhập danh sách thiết bị"), Permission.DEVICE_WRITE, (DEVICES,),
        lambda this: this.of_kinds(*KINDS, devices_kind(clock.now())),
    ),
    "areas": Kind(
        N_("Nhập đơn vị hành chính"), Permission.AREA_WRITE,
        (area_imports.AREAS, area_imports.LINEAGE), _areas,
    ),
    "villages": Kind(
        N_("Nhập sổ thôn"), Permission.AREA_WRITE, (villages.VILLAGES,), _villages
    ),
    "village-languages": Kind(
        N_("Nhập tiếng của các thôn"), Permission.AREA_WRITE,
        (village_languages.SHEET,),
        lambda this: this.of_kinds(village_languages.kind(this.caller, clock.now())),
    ),
    "readers": Kind(
        N_("Nhập người đọc các tiếng"), Permission.ACCOUNT_WRITE, (reader_import.SHEET,),
        lambda this: this.of_kinds(reader_import.READERS),
    ),
    "regulations": Kind(
        N_("Nhập Quy chế phát thanh"), entering.NEEDED, (regulation_sheet.SHEET,), _regulations
    ),
}  # fmt: skip
"""By the last part of the address."""

Files = Annotated[list[UploadFile], File()]


@router.get("/admin/import/{kind}")
async def show(
    request: Request, session: Session, caller: Reader, kind: str, imports: ImportsDep
) -> Response:
    """Ask for the files; say how far an import is that goes on."""
    wanted = _kind(kind)
    scope.require_whole(session, caller, wanted.permission)
    this = imports.get(caller.account_id, kind, clock.now())
    read = imports.read(caller.account_id, kind)
    return page(
        request, caller, "admin/import.html", kind=kind, wanted=wanted, this=this, read=read
    )


@router.get("/admin/import/{kind}/progress")
async def show_progress(
    request: Request, session: Session, caller: Reader, kind: str, imports: ImportsDep
) -> Response:
    """How many rows of the caller's import are read or stored, and then what became of it."""
    wanted = _kind(kind)
    scope.require_whole(session, caller, wanted.permission)
    this = imports.get(caller.account_id, kind, clock.now())
    read = imports.read(caller.account_id, kind)
    return page(request, caller, "admin/_import_progress.html", kind=kind, this=this, read=read)


@router.post("/admin/import/{kind}/preview", summary="Xem trước khi nhập tệp")
async def preview(
    request: Request,
    session: Session,
    caller: Reader,
    kind: str,
    files: Files,
    imports: ImportsDep,
) -> Response:
    """What each row would become; nothing is written."""
    wanted = _changeable(session, caller, kind)
    given = await _required(files)
    with imports.reading(caller.account_id, kind, rows_of(given)):
        report = await wanted.run(Attempt(session, given, caller, dry_run=True))
    return page(
        request,
        caller,
        "admin/_import_preview.html",
        kind=kind,
        report=report,
        rows=report.rows[:SHOWN],
        digest=digest_of(given),
        fates=FATES,
    )


@router.post("/admin/import/{kind}", summary="Nhập tệp đã xem trước")
async def store(
    request: Request,
    storing: StoringDep,
    session: Session,
    caller: Reader,
    kind: str,
    files: Files,
    digest: Annotated[str, Form(max_length=64)] = "",
    silences: Annotated[bool, Form()] = False,
) -> Response:
    """Store the files that were previewed, all or nothing; it goes on when the page is left."""
    wanted = _changeable(session, caller, kind)
    given = await _required(files)
    if digest != digest_of(given):
        raise InvalidInput("files", "tệp không còn như lúc xem trước; hãy xem trước lại")
    this = storing.begin(caller.account_id, kind, rows_of(given), clock.now())
    with counted(this.progress):
        attempt = Attempt(session, given, caller, dry_run=False, silences=silences)
        this.report = await wanted.run(attempt)
    return page(request, caller, "admin/_import_done.html", kind=kind, report=this.report)


def _kind(kind: str) -> Kind:
    if kind not in IMPORTS:
        raise NotFound("Không có loại danh sách này để nhập; hãy chọn lại ở trang quản trị.")
    return IMPORTS[kind]


def _changeable(session: AsyncSession, caller: Caller, kind: str) -> Kind:
    wanted = _kind(kind)
    scope.require_whole(session, caller, wanted.permission)
    if wanted.permission is Permission.ACCOUNT_WRITE:  # as routes ask that need it by themselves
        second_factor.check(caller.second_factor_until, wanted.permission, clock.now())
    return wanted


async def _required(files: Sequence[UploadFile]) -> list[sheets.File]:
    given = await received_files(files)
    if not given:
        raise InvalidInput("files", "chọn ít nhất một tệp")
    return given


async def received_files(files: Sequence[UploadFile]) -> list[sheets.File]:
    """Files of a form, without those that were left empty."""
    return [await received(file) for file in files if file.filename]


def rows_of(files: Sequence[sheets.File]) -> int:
    """About how many rows the files have."""
    return sum(file.data.count(b"\n") for file in files)


def digest_of(files: Sequence[sheets.File]) -> str:
    """What tells these files from any others."""
    facts = sorted(str(file.facts()["sha256"]) for file in files)
    return hashlib.sha256(" ".join(facts).encode()).hexdigest()
