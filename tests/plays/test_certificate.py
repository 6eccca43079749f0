"""The certificate of a broadcast."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from broadcast.auth.permissions import Role
from broadcast.bulletins.model import Rendition
from broadcast.kit.errors import Conflict
from broadcast.plays.certificate import certificate, contents, rendered
from broadcast.plays.closer import close_due
from broadcast.plays.results import result_of
from broadcast.wire.fields import Codec
from tests.callers import caller
from tests.plays.world import CLOSED, WAIT, World, ended, skipped, started

WHOLE = caller("Lan", Role.PROVINCE_MONITOR)
NOW = datetime(2025, 7, 1, 3, tzinfo=UTC)
SHA256 = "0123456789abcdef" * 4


@pytest.fixture
async def said(world: World) -> dict[str, Any]:
    """What the certificate of an occurrence says that sounded in one village of two."""
    occurrence = await world.planned()
    await world.report(started(1, occurrence), ended(2, occurrence))
    await world.report(skipped(1, occurrence, "powered_off"), device="D-2")
    await close_due(world.session, CLOSED, WAIT)
    result = await result_of(world.session, occurrence.id, WHOLE)
    return contents(result, "xã Nghĩa Giang", [("opus", SHA256)], "Lan", NOW)


def test_it_says_what_when_where_and_by_what_proof(said: dict[str, Any]) -> None:
    facts = dict(said["facts"])
    assert facts["SHA-256 (opus)"].replace(" ", "") == SHA256
    assert facts["Giờ phát theo lịch"] == "08:00 ngày 01/07/2025"
    assert said["answer"].startswith("Đã phát ở 1 trong 2 thôn")
    silent, sounded = said["villages"]
    assert (silent["result"], sounded["result"]) == ("không phát", "đã phát")
    assert "thiết bị mất điện" in silent["proofs"][0]
    assert sounded["proofs"][0].startswith("C-1: đã phát lúc 08:00:00")
    assert sounded["proofs"][0].endswith("thiết bị tự báo")
    assert (said["place"], said["made"]["day"]) == ("Nghĩa Giang", "01")


def test_what_people_wrote_is_text_and_no_markup(said: dict[str, Any]) -> None:
    pdf = rendered(said | {"answer": "#panic() *đậm* $x$ @nowhere <b> \\"})
    assert pdf.startswith(b"%PDF-")


async def test_it_is_a_pdf_with_its_type_inside(world: World) -> None:
    occurrence = await world.planned()
    with pytest.raises(Conflict, match="chưa có đủ kết quả"):
        await certificate(world.session, occurrence.id, WHOLE, NOW)
    world.session.add(
        Rendition(
            bulletin_id=occurrence.bulletin_id, revision=1, codec=Codec.OPUS, sha256=SHA256,
            size_bytes=1, seconds=1.0,
        )
    )  # fmt: skip
    await close_due(world.session, CLOSED, WAIT)
    pdf = await certificate(world.session, occurrence.id, WHOLE, NOW)
    assert pdf.startswith(b"%PDF-")
    assert b"/FontFile" in pdf or any(b"/FontFile" in each for each in unpacked(pdf))


def unpacked(pdf: bytes) -> list[bytes]:
    found = []
    for part in pdf.split(b"stream\n")[1:]:
        try:
            found.append(zlib.decompressobj().decompress(part))
        except zlib.error:
            continue
    return found


def test_the_template_lies_beside_the_code() -> None:
    assert Path(contents.__code__.co_filename).with_suffix(".typ").is_file()
