"""Looking at portals over real HTTP: politely, only there, and never over a person's edit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.areas.model import Area, AreaLineage, Level, Part
from broadcast.auth.permissions import Role
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict
from broadcast.portals import checking, register
from broadcast.portals.checking import PortalReader
from broadcast.portals.model import CheckOutcome, PortalCheck, PortalItem, PortalKind
from broadcast.portals.schemas import DecisionIn, PortalIn, UpdateRuleIn
from broadcast.portals.standing import Standing, standings
from broadcast.portals.updating import Why
from tests import province as rows
from tests.alerts.cap.test_feeds import Site, serving
from tests.callers import caller

NOW = datetime(2025, 11, 28, 9, tzinfo=LOCAL)
LAN = caller("Lan", Role.PROVINCE_ADMIN)
ESSENTIAL = "Thông tin thiết yếu"


def feed(*items: tuple[str, str, str]) -> bytes:
    """RSS of items: number, day, section."""
    entries = "".join(
        f"<item><guid>{number}</guid><title>Tin {number}</title><link>/{number}</link>"
        f"<category>{section}</category><pubDate>{day}</pubDate></item>"
        for number, day, section in items
    )
    return f"<rss><channel>{entries}</channel></rss>".encode()


class Portals:
    """The leader's reader of the portals of one site, and what it has stored."""

    def __init__(self, engine: AsyncEngine, site: Site, patch: pytest.MonkeyPatch) -> None:
        settings = config.Portals(pause=timedelta(), private_networks=(ip_network("127.0.0.0/8"),))
        self.engine, self.site, self.now = engine, site, NOW
        self.reader = PortalReader(engine, settings)
        patch.setattr(clock, "now", lambda: self.now)

    async def enter(self, path: str = "/tin.rss", **changes: Any) -> int:
        body = PortalIn.model_validate(
            {
                "area_code": "21025", "name": "Trang xã", "url": self.site.url,
                "source_url": self.site.url + path, "kind": "feed", "tags": [ESSENTIAL],
                "valid_from": "2025-07-01",
            } | changes
        )  # fmt: skip
        async with db.transaction(self.engine) as session:
            return (await register.create(session, body, LAN, self.now)).id

    async def later(self, hours: float = 6) -> list[str]:
        """What is asked of the site at the next run."""
        self.site.asked.clear()
        self.now += timedelta(hours=hours)
        await self.reader.run(self.now)
        return self.site.asked

    async def looks(self) -> list[CheckOutcome]:
        async with db.transaction(self.engine) as session:
            return list(
                await session.scalars(
                    sa.select(PortalCheck.outcome).order_by(PortalCheck.checked_at)
                )
            )

    async def titles(self) -> list[str]:
        async with db.transaction(self.engine) as session:
            return list(await session.scalars(sa.select(PortalItem.title).order_by(PortalItem.id)))

    async def standing(self, code: str = "21025", on: date | None = None) -> Standing:
        async with db.transaction(self.engine) as session:
            found = await standings(session, on or self.now.date())
        return next(each for each in found.communes if each.code == code)


@pytest.fixture
async def portals(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Portals]:
    async with db.transaction(engine) as session:
        session.add_all([
            rows.area("51", Level.PROVINCE),
            rows.area("21025", Level.COMMUNE, "51"),
            rows.area("21034", Level.COMMUNE, "51"),
        ])  # fmt: skip
    async with serving() as site:
        yield Portals(engine, site, monkeypatch)


async def test_a_commune_is_regularly_updated_once_enough_is_there(portals: Portals) -> None:
    assert (await portals.standing()).verdict.why is Why.NO_PORTAL
    id_ = await portals.enter()
    assert (await portals.standing()).verdict.why is Why.NOT_READ
    some = [(str(n), f"2025-11-{20 + n}", ESSENTIAL) for n in range(3)]
    portals.site.pages["/tin.rss"] = ("200 OK", feed(*some, ("9", "2025-11-25", "Thể thao")))
    assert await portals.later(0.1) == ["/robots.txt", "/tin.rss"]
    found = await portals.standing()
    told = found.verdict
    assert (told.by_tag, told.by_person, told.others) == (3, 0, 1)
    assert (found.verdict.why, found.verdict.newest_on) == (Why.TOO_FEW, date(2025, 11, 22))
    # A person reads what the tags do not say.
    async with db.transaction(portals.engine) as session:
        item = await session.scalar(sa.select(PortalItem.id).where(PortalItem.title == "Tin 9"))
        assert item is not None
        said = DecisionIn(is_essential=True)
        await register.decide(session, id_, item, said, LAN, portals.now)
    found = await portals.standing()
    assert (found.verdict.by_person, found.verdict.why) == (1, None)
    # As it was at the end of an earlier day, and by a rule that the province decides.
    assert (await portals.standing(on=date(2025, 11, 21))).verdict.by_tag == 2
    async with db.transaction(portals.engine) as session:
        rule = UpdateRuleIn(items=1, days=3, document="Công văn 12")
        await register.put_rule(session, date(2025, 11, 27), rule, LAN, portals.now)
    assert (await portals.standing()).verdict.why is Why.TOO_FEW
    assert (await portals.standing(on=date(2025, 11, 26))).verdict.why is None


async def test_it_is_looked_at_every_six_hours_and_asked_whether_it_changed(
    portals: Portals,
) -> None:
    await portals.enter()
    portals.site.pages["/tin.rss"] = ('200 OK\r\nETag: "a"', feed(("1", "2025-11-20", "x")))
    assert await portals.later(0.1) == ["/robots.txt", "/tin.rss"]
    assert await portals.later(5.9) == []
    assert await portals.later(0.1) == ["/robots.txt", "/tin.rss"]
    assert await portals.looks() == [CheckOutcome.ANSWERED, CheckOutcome.UNCHANGED]
    changed = feed(("2", "2025-11-21", "x"), ("1", "2025-11-20", "x"))
    portals.site.pages["/tin.rss"] = ('200 OK\r\nETag: "b"', changed)
    await portals.later()
    assert await portals.titles() == ["Tin 1", "Tin 2"]


@pytest.mark.parametrize(
    ("path", "status", "body", "outcome"),
    [
        ("/robots.txt", "200 OK", b"User-agent: *\nDisallow: /", CheckOutcome.FORBIDDEN),
        ("/robots.txt", "503 Busy", b"", CheckOutcome.UNREACHABLE),
        ("/tin.rss", "404 Not Found", b"", CheckOutcome.UNREACHABLE),
        ("/tin.rss", "200 OK", b"<html>", CheckOutcome.UNREADABLE),
        ("/tin.rss", "200 OK", b"<rss><channel/></rss>", CheckOutcome.EMPTY),
        ("/tin.rss", "301 Moved\r\nLocation: http://10.1.2.3/x", b"", CheckOutcome.UNREACHABLE),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_is_lost(
    portals: Portals, path: str, status: str, body: bytes, outcome: CheckOutcome
) -> None:
    id_ = await portals.enter()
    portals.site.pages["/tin.rss"] = ("200 OK", feed(("1", "2025-11-20", ESSENTIAL)))
    await portals.later(0.1)
    portals.site.pages[path] = (status, body)
    await portals.later()
    async with db.transaction(portals.engine) as session:
        shown = await register.show(session, id_)
    assert shown.last_check is not None
    assert shown.last_check.outcome is outcome
    assert "hãy" in shown.last_check.detail or "thử lại" in shown.last_check.detail
    assert await portals.titles() == ["Tin 1"]


async def test_a_look_that_a_person_overtakes_is_dropped(
    portals: Portals, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await portals.enter()
    portals.site.pages["/tin.rss"] = ("200 OK", feed(("1", "2025-11-20", ESSENTIAL)))
    portals.site.pages["/moi.rss"] = ("200 OK", feed(("2", "2025-11-20", ESSENTIAL)))
    look = checking.look

    async def overtaken(*given: Any) -> checking.Look:
        found = await look(*given)
        body = PortalIn.model_validate(
            {
                "area_code": "21025", "name": "Trang xã", "url": portals.site.url,
                "source_url": portals.site.url + "/moi.rss", "kind": "feed",
                "valid_from": "2025-07-01",
            }
        )  # fmt: skip
        async with db.transaction(portals.engine) as session:
            await register.change(session, id_, body, LAN, portals.now)
        monkeypatch.setattr(checking, "look", look)
        return found

    monkeypatch.setattr(checking, "look", overtaken)
    await portals.later(0.1)
    assert (await portals.titles(), await portals.looks()) == ([], [])
    await portals.later(0.1)
    assert await portals.titles() == ["Tin 2"]


async def test_what_has_no_day_counts_from_the_second_look_on(portals: Portals) -> None:
    await portals.enter("/", kind=PortalKind.LIST, item_class="tin", tags=[])

    def page(*numbers: int) -> bytes:
        return "".join(
            f'<div class="tin"><a href="/{n}">Tin {n}</a></div>' for n in numbers
        ).encode()

    portals.site.pages["/"] = ("200 OK", page(1, 2))
    await portals.later(0.1)
    portals.site.pages["/"] = ("200 OK", page(3, 1, 2))
    await portals.later()
    async with db.transaction(portals.engine) as session:
        old = await session.execute(
            sa.select(PortalItem.title, PortalItem.is_old).order_by(PortalItem.id)
        )
        assert [tuple(each) for each in old] == [
            ("Tin 1", True),
            ("Tin 2", True),
            ("Tin 3", False),
        ]
    assert (await portals.standing()).verdict.others == 1


async def test_an_item_that_two_portals_list_counts_once(portals: Portals) -> None:
    """A feed, and the same again over the address as another writes it."""
    await portals.enter()
    await portals.enter("/hai.rss")
    some = [(str(n), f"2025-11-{20 + n}", ESSENTIAL) for n in range(3)]
    portals.site.pages["/tin.rss"] = ("200 OK", feed(*some))
    portals.site.pages["/hai.rss"] = ("200 OK", feed(*some, ("9", "2025-11-25", ESSENTIAL)))
    await portals.later(0.1)
    assert (await portals.standing()).verdict.by_tag == 4


async def test_a_date_that_is_read_at_last_is_taken(portals: Portals) -> None:
    id_ = await portals.enter("/", kind=PortalKind.LIST, item_class="tin", date_class="sai")
    body = '<div class="tin"><a href="/1">Tin 1</a><b class="ngay">20/11/2025</b></div>'
    portals.site.pages["/"] = ("200 OK", body.encode())
    await portals.later(0.1)
    assert (await portals.standing()).verdict.others == 0
    async with db.transaction(portals.engine) as session:
        shown = await register.show(session, id_)
        fields = {name: getattr(shown, name) for name in PortalIn.model_fields}
        mended = PortalIn.model_validate(fields | {"date_class": "ngay"})
        await register.change(session, id_, mended, LAN, portals.now)
    await portals.later(0.1)
    assert (await portals.standing()).verdict.others == 1


async def test_what_has_no_day_is_new_though_the_portal_was_renamed(portals: Portals) -> None:
    id_ = await portals.enter("/", kind=PortalKind.LIST, item_class="tin")
    body = '<div class="tin"><a href="/{0}">Tin {0}</a></div>'
    portals.site.pages["/"] = ("200 OK", body.format(1).encode())
    await portals.later(0.1)
    async with db.transaction(portals.engine) as session:
        shown = await register.show(session, id_)
        fields = {name: getattr(shown, name) for name in PortalIn.model_fields}
        renamed = PortalIn.model_validate(fields | {"name": "Trang khác"})
        await register.change(session, id_, renamed, LAN, portals.now)
    portals.site.pages["/"] = ("200 OK", (body.format(1) + body.format(2)).encode())
    await portals.later(0.1)
    assert (await portals.standing()).verdict.others == 1
    async with db.transaction(portals.engine) as session:
        old = await session.scalar(sa.select(PortalItem.id).where(PortalItem.title == "Tin 1"))
        assert old is not None
        with pytest.raises(Conflict, match="Không rõ tin này đăng ngày nào"):
            await register.decide(
                session, id_, old, DecisionIn(is_essential=True), LAN, portals.now
            )


async def test_addresses_that_change_with_every_look_are_bounded(
    portals: Portals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "MOST_A_DAY", 5)
    id_ = await portals.enter()
    for look in range(4):
        new = [(f"{look}-{n}", "2025-11-20", "x") for n in range(3)]
        portals.site.pages["/tin.rss"] = ("200 OK", feed(*new))
        await portals.later(6)
    assert len(await portals.titles()) == 5
    async with db.transaction(portals.engine) as session:
        shown = await register.show(session, id_)
    assert shown.last_check is not None
    assert "hơn 5 tin mới một ngày" in shown.last_check.detail


async def test_a_portal_that_nobody_foresaw_holds_no_other_up(
    portals: Portals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its look is noted with a reason, and the others of its host are looked at."""
    await portals.enter("/la.rss")
    await portals.enter()
    for path in ("/la.rss", "/tin.rss"):
        portals.site.pages[path] = ("200 OK", feed(("1", "2025-11-20", "x")))
    read = checking.read

    def fails(data: bytes, url: str, *more: Any) -> Any:
        if url.endswith("/la.rss"):
            raise RecursionError
        return read(data, url, *more)

    monkeypatch.setattr(checking, "read", fails)
    await portals.later(0.1)
    assert await portals.looks() == [CheckOutcome.UNREADABLE, CheckOutcome.ANSWERED]


@pytest.mark.parametrize(
    ("robots", "asked"),
    [
        ("User-agent: *\nDisallow: /\nAllow: /tin", ["/robots.txt", "/tin.rss"]),
        ("User-agent: *\nDisallow: /*.rss$", ["/robots.txt"]),
        ("\ufeffUser-agent: *\nDisallow: /", ["/robots.txt"]),
        (f"User-agent: *\nCrawl-delay: {'9' * 400}\nDisallow: /", ["/robots.txt"]),
        ("User-agent: *\nCrawl-delay: ²", ["/robots.txt", "/tin.rss"]),
    ],
    ids=["longest match", "wildcards", "byte order mark", "endless pause", "no number"],
)
async def test_what_robots_txt_says_is_done(
    portals: Portals, robots: str, asked: list[str]
) -> None:
    await portals.enter()
    portals.site.pages["/robots.txt"] = ("200 OK", robots.encode())
    portals.site.pages["/tin.rss"] = ("200 OK", feed(("1", "2025-11-20", "x")))
    assert await portals.later(0.1) == asked


async def test_portals_of_one_host_are_read_one_after_another(portals: Portals) -> None:
    open_, most = 0, 0
    answer = portals.site.answer

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_, most
        open_ += 1
        most = max(most, open_)
        await answer(reader, writer)
        open_ -= 1

    server = await asyncio.start_server(counted, "127.0.0.1", 0)
    portals.site.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        for number in range(5):
            portals.site.pages[f"/{number}.rss"] = ("200 OK", feed((str(number), "", "x")))
            await portals.enter(f"/{number}.rss")
        await portals.later(0.1)
    assert (len(await portals.titles()), most) == (5, 1)


async def test_a_portal_goes_along_with_its_commune(portals: Portals) -> None:
    await portals.enter(area_code="21034", valid_from="2025-01-01")
    merged = date(2025, 11, 28)
    async with db.transaction(portals.engine) as session:
        await session.execute(
            sa.update(Area).where(Area.code == "21034").values(valid_to=merged - timedelta(days=1))
        )
        session.add(
            AreaLineage(
                old_code="21034", new_code="21025", effective_on=merged, part=Part.WHOLE,
                legal_act="1687/NQ-UBTVQH15",
            )
        )  # fmt: skip
    assert len((await portals.standing(on=date(2025, 11, 27), code="21034")).verdict.portals) == 1
    assert len((await portals.standing(on=merged)).verdict.portals) == 1
