"""Portals of some communes, served on an address of their own: what the server reads in the demo.

One commune publishes enough, one too little, one nothing that its sections call essential, one's
portal is away, and one forbids to be read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from xml.etree import ElementTree as ET

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Level
from broadcast.areas.units import units_on
from broadcast.auth.model import Account
from broadcast.auth.permissions import Role
from broadcast.demo.people import NAMES
from broadcast.demo.seed import MERGED_ON
from broadcast.kit import clock
from broadcast.kit.clock import LOCAL
from broadcast.kit.text import folded
from broadcast.portals.model import Portal, PortalKind

HOST = "127.80.0.1"
"""Of this machine, and of nothing else on it: only portals are connected to there."""

ESSENTIAL = "Thông tin thiết yếu"

BY = Role.PROVINCE_ADMIN
"""Who has entered them."""

TITLES = (
    "Lịch tiêm chủng mở rộng", "Thông báo lịch cắt điện", "Hướng dẫn phòng, chống sốt xuất huyết",
    "Lịch tiếp công dân của Chủ tịch UBND xã", "Hỗ trợ vay vốn trồng rừng",
    "Thủ tục cấp lại căn cước", "Cảnh báo sạt lở ven sông", "Lịch thu gom rác",
)  # fmt: skip


class _Published(NamedTuple):
    """What a portal has published: items, one each so many days, and under which section."""

    items: int
    days: int
    section: str


_OF_PLACE: Sequence[_Published | int] = (
    _Published(8, 3, ESSENTIAL),
    _Published(2, 5, ESSENTIAL),
    _Published(7, 4, "Thể thao"),
    404,
    _Published(9, 2, ESSENTIAL),
    _Published(5, 6, ESSENTIAL),
)
"""By the place of a commune in the demo; a number is what its portal answers instead."""

FORBIDDEN = 4
"""Place of the portal that forbids to be read."""


@contextmanager
def serving() -> Iterator[str]:
    """Serve the portals; gives their address."""
    with ThreadingHTTPServer((HOST, 0), _Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{HOST}:{server.server_port}"
        finally:
            server.shutdown()


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        place = self.path.strip("/").partition(".")[0]
        if place == "robots":
            self._give("text/plain", f"User-agent: *\nDisallow: /{FORBIDDEN}\n".encode())
            return
        if not place.isdecimal() or int(place) >= len(_OF_PLACE):
            self.send_error(404)
            return
        published = _OF_PLACE[int(place)]
        if isinstance(published, int):
            self.send_error(published)
            return
        self._give("application/rss+xml; charset=utf-8", _feed(published, clock.now()))

    def _give(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as http.server has it
        """Say nothing: the demo's picture is on the terminal."""


def _feed(published: _Published, now: datetime) -> bytes:
    feed = ET.Element("rss", version="2.0")
    channel = ET.SubElement(feed, "channel")
    for number in range(published.items):
        at = now - timedelta(days=1 + number * published.days)
        item = ET.SubElement(channel, "item")
        texts: Mapping[str, str] = {
            "guid": str(at.date()),
            "title": TITLES[number % len(TITLES)],
            "link": f"/tin/{at.date()}",
            "category": published.section,
            "pubDate": format_datetime(at),
        }
        for name, text in texts.items():
            ET.SubElement(item, name).text = text
    return bytes(ET.tostring(feed, encoding="utf-8", xml_declaration=True))


async def seed_portals(session: AsyncSession, commune: str, url: str, now: datetime) -> None:
    """Enter the portals: the first of this commune, the others of some more.

    Args:
        session: Transaction.
        commune: Code of the commune of the demo's broadcaster.
        url: Where they are served.
        now: When they are entered.
    """
    by = await session.scalar(sa.select(Account.id).where(Account.login == NAMES[BY][1]))
    units = await units_on(session, now.astimezone(LOCAL).date(), level=Level.COMMUNE)
    communes = sorted(units, key=lambda unit: unit.code != commune)
    for place, unit in zip(range(len(_OF_PLACE)), communes, strict=False):
        session.add(
            Portal(
                area_code=unit.code, name=f"Trang thông tin điện tử {unit.name}",
                url=f"{url}/{place}", source_url=f"{url}/{place}.rss", kind=PortalKind.FEED,
                item_class="", date_class="", tags=[ESSENTIAL], folded_tags=[folded(ESSENTIAL)],
                valid_from=MERGED_ON[-1], ended_on=None, entered_by=by, entered_at=now,
                source_since=now,
            )
        )  # fmt: skip
