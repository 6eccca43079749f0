"""What every page has in common: its routes, its frame, its answer when something is wrong.

A page is a template with what a use case has answered; a part of it, whose template's name begins
with `_`, has an address of its own and is fetched again when it has changed (`live.py`).
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from broadcast.areas.units import find_unit
from broadcast.auth.caller import Caller, CallerDep
from broadcast.auth.permissions import ROLE_NAMES, Permission
from broadcast.auth.routing import Router
from broadcast.console import assets, formats
from broadcast.console.words import N_, Language, formed, translate, translate_number
from broadcast.kit import clock
from broadcast.kit.errors import BroadcastError, NotFound
from broadcast.web import language as web_language
from broadcast.web.problems import problem
from broadcast.web.rest import AppSettings, Session

TEMPLATES = Path(__file__).with_name("templates")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    # The forms of a page of no referrer would name no origin (Fetch §3.3).
    "Referrer-Policy": "same-origin",
}
"""Of every page: its own files, no script in a text, the microphone for recording."""

LANGUAGE_COOKIE, THEME_COOKIE, SIZE_COOKIE = web_language.COOKIE, "theme", "size"

SMALLEST_GZIP = 1000
"""Bytes below which compressing gains nothing. Pages hold no secret that is always there, such as
the token of the session, so that compressing tells nobody anything (BREACH)."""


class Entry(NamedTuple):
    """A line of the menu."""

    path: str
    name: str
    permission: Permission


MENU = (
    Entry("/", N_("Hôm nay"), Permission.READ),
    Entry("/bulletins", N_("Bản tin"), Permission.CONTENT_READ),
    Entry("/approvals", N_("Duyệt"), Permission.BULLETIN_APPROVE),
    Entry("/inbox", N_("Hộp tin đến"), Permission.CONTENT_READ),
    Entry("/schedule", N_("Lịch phát"), Permission.CONTENT_READ),
    Entry("/live", N_("Phát trực tiếp"), Permission.CONTENT_READ),
    Entry("/emergency", N_("Khẩn cấp"), Permission.CONTENT_READ),
    Entry("/map", N_("Bản đồ"), Permission.READ),
    Entry("/indicators", N_("Chỉ tiêu"), Permission.READ),
    Entry("/incidents", N_("Sự cố"), Permission.READ),
    Entry("/devices", N_("Thiết bị"), Permission.READ),
    Entry("/admin", N_("Quản trị"), Permission.UPKEEP_READ),
    Entry("/admin/people", N_("Tài khoản"), Permission.ACCOUNT_WRITE),
    Entry("/admin/audit", N_("Nhật ký"), Permission.AUDIT_READ),
)
"""What the menu shows to who has the permission and where the page exists."""


class PageRouter(Router):
    """A router of pages: the questions of every route, and none of it in the description."""

    def __init__(self) -> None:
        super().__init__()
        self.include_in_schema = False


def page(
    request: Request,
    caller: Caller | None,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> Response:
    """A page, or a part of one, in the language of who asks.

    Args:
        request: Asks for it.
        caller: Who asks; None only where nobody has signed in.
        template: Its file below `templates/`.
        status: Of the answer.
        headers: Further ones.
        **context: What the template shows.
    """
    language, menu = language_of(request), _menu(request, caller)
    body = _environment(language).get_template(template).render(
        request=request,
        caller=caller,
        can=lambda name: caller is not None and Permission(name) in caller.permissions,
        menu=menu,
        here=_here(request, menu),
        language=language.value,
        theme=_chosen(request, THEME_COOKIE, ("light", "dark")),
        size=_chosen(request, SIZE_COOKIE, ("large",)),
        now=clock.now(),
        **context,
    ).encode()  # fmt: skip
    more = {**HEADERS, **(headers or {}), "Vary": "Accept-Encoding, Cookie"}
    if len(body) >= SMALLEST_GZIP and accepts_gzip(request):
        body = gzip.compress(body, 5)
        more["Content-Encoding"] = "gzip"
    return HTMLResponse(body, status, more)


def given(**fields: Any) -> dict[str, Any]:
    """The fields of a filter that ask for something, for the addresses of further pages.

    >>> given(area="", status="trial")
    {'status': 'trial'}
    """
    return {name: value for name, value in fields.items() if value}


def accepts_gzip(request: Request) -> bool:
    """Tell whether the browser reads what is compressed."""
    return "gzip" in request.headers.get("accept-encoding", "")


def redirect(request: Request, path: str) -> Response:
    """Send the browser to another page after a change.

    Args:
        request: The change.
        path: Of ours.
    """
    if is_part(request):
        return Response(status_code=204, headers={"HX-Redirect": path})
    return RedirectResponse(path, 303)


def is_part(request: Request) -> bool:
    """Tell whether a script of ours asks, for a part of a page."""
    return request.headers.get("hx-request") == "true"


def language_of(request: Request) -> Language:
    """Language that the browser has chosen."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return Language.ENGLISH if chosen == Language.ENGLISH else Language.VIETNAMESE


def local(path: str) -> str:
    """The path, if it is one of ours; else the first page.

    >>> local("/bulletins?tag=lua"), local("//elsewhere.example/"), local("https://x.example")
    ('/bulletins?tag=lua', '/', '/')
    """
    parts = urlsplit(path)
    ours = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if ours and not parts.scheme and not parts.netloc else "/"


def _chosen(request: Request, cookie: str, values: tuple[str, ...]) -> str:
    chosen = request.cookies.get(cookie, "")
    return chosen if chosen in values else ""


def _menu(request: Request, caller: Caller | None) -> list[Entry]:
    if caller is None:
        return []
    paths: frozenset[str] = request.app.state.pages
    return [each for each in MENU if each.path in paths and each.permission in caller.permissions]


def _here(request: Request, menu: list[Entry]) -> str:
    """The line of the menu that the page lies under."""
    path = request.url.path
    above = [
        each.path
        for each in menu
        if each.path == path or (each.path != "/" and path.startswith(each.path + "/"))
    ]
    return max(above, key=len, default="")


@cache
def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    tr = partial(translate, language)
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        tr, partial(translate_number, language), newstyle=True
    )
    environment.globals["gettext"] = _gettext(tr)
    environment.filters["tr"] = tr
    for name, filter_ in formats.FILTERS.items():
        environment.filters[name] = partial(filter_, language=language)
    environment.globals["asset"] = assets.address
    environment.globals["role_names"] = ROLE_NAMES
    environment.globals["ui"] = environment.get_template("components.html").module
    return environment


def _gettext(tr: Callable[[str], str]) -> Callable[..., str]:
    """As that of the extension, and English in the forms that its numbers need."""

    @pass_context
    def gettext(_: Context, message: str, **values: object) -> str:
        # a message of ours; what it is filled in with is escaped
        return Markup(formed(tr(message), values)) % values  # noqa: S704

    return gettext


# --- when something is wrong -------------------------------------------------------------------

NOWHERE = N_("Không có trang này.")

_REMEDIES = {
    403: N_("Nếu cần việc này, hãy nhờ người quản trị cấp vai trò phù hợp."),
    404: N_("Trang có thể đã đổi địa chỉ, hoặc dữ liệu ngoài phạm vi của tài khoản này."),
    503: N_("Bản tin đã có trên loa vẫn phát theo lịch. Hãy thử lại sau ít phút."),
}

_REMEDY = N_("Hãy quay lại trang trước hoặc về trang đầu; nếu vẫn vậy, hãy báo người quản trị.")


class NothingImported(NotFound):
    """A page about a province of which no unit is known yet."""

    title = "Chưa có dữ liệu"
    remedy = N_("Người quản trị nhập danh sách xã của tỉnh trước, rồi tới thôn, đài và cụm loa.")
    start = "/admin/import/areas"


async def _require_units(session: Session, settings: AppSettings, _: CallerDep) -> None:
    if await find_unit(session, settings.province, clock.today()) is None:
        raise NothingImported("Máy chủ chưa có đơn vị hành chính nào của tỉnh này.")


NEEDS_UNITS = [Depends(_require_units)]
"""Of a page that has nothing to show before the units of the province are imported."""


def show_problem(request: Request, error: BroadcastError) -> Response:
    """An error as a page, for a browser that goes to one; as a problem document for the rest.

    Scripts of ours read the latter as every program does (`assets/js/problems.js`).
    """
    answer: JSONResponse = problem(error)
    wants_page = "text/html" in request.headers.get("accept", "")
    is_ours = not request.scope["path"].startswith("/api/")
    if is_part(request) or not (wants_page and is_ours) or request.method not in {"GET", "POST"}:
        return answer
    if error.status == 401:
        path = request.scope["path"]
        query = request.scope.get("query_string", b"").decode("latin-1")
        wanted = path + ("?" + query if query else "")
        address = "/sign-in" + ("" if wanted == "/" else "?next=" + quote(wanted))
        return RedirectResponse(address, 303, {"Cache-Control": "no-store"})
    kept = {
        name: value
        for name, value in answer.headers.items()
        if name in {"retry-after", "cache-control", "allow"}
    }
    new = error if isinstance(error, NothingImported) else None
    is_nowhere = error.status == 404 and "route" not in request.scope
    return page(
        request,
        getattr(request.state, "caller", None),
        "problem.html",
        status=error.status,
        headers=kept,
        error=error,
        detail=NOWHERE if is_nowhere else error.detail,
        remedy=new.remedy if new else _REMEDIES.get(error.status, _REMEDY),
        start=new.start if new else None,
    )
