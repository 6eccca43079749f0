"""Certificate of a broadcast as a PDF, to be signed and filed.

Its layout is of the rules for administrative documents (Nghị định 30/2020/NĐ-CP, phụ lục I). It is
made of the result that REST and the page show (`results.py`), and says how that was computed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.auth.caller import Caller
from broadcast.bulletins import revisions
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict
from broadcast.kit.languages import named
from broadcast.plays import joined, texts
from broadcast.plays.joined import Joined
from broadcast.plays.results import result_of
from broadcast.plays.schemas import ClusterResultOut, OccurrenceResultOut
from broadcast.wire.fields import BulletinClass

TEMPLATE = Path(__file__).with_suffix(".typ")

FONTS = Path("/usr/share/fonts/truetype/liberation2")
"""Of Debian's `fonts-liberation2`: the metrics of Times New Roman, which the rules ask for, and
all Vietnamese letters. Without it the serif type inside the compiler's wheel is used. Other system
fonts are not: `fonts-liberation` has the same name and lacks the letters."""

_ONE_AT_A_TIME = asyncio.Semaphore(1)
"""A certificate of the whole province takes a second of one core."""

_CLASSES = {
    BulletinClass.NORMAL: "thông thường",
    BulletinClass.PRIORITY: "ưu tiên",
    BulletinClass.EMERGENCY: "khẩn cấp",
}

_KINDS = ("xã", "phường", "đặc khu", "thị trấn", "tỉnh", "thành phố")

METHOD = (
    "Cách xác định: kết quả lập từ nhật ký phát mà thiết bị ở từng cụm loa tự ghi và gửi về máy"
    " chủ, tính đến lúc lập giấy này; bằng chứng gửi về sau có thể làm thay đổi kết quả. Một thôn,"
    " tổ dân phố được tính là đã phát khi có ít nhất một cụm loa phục vụ nơi đó phát trọn vẹn bản"
    " tin. “Chưa rõ” nghĩa là máy chủ không nhận được báo cáo của thiết bị trong giờ phát."
)


async def certificate(
    session: AsyncSession, occurrence_id: UUID, caller: Caller, now: datetime
) -> bytes:
    """The certificate of an occurrence in the caller's places, as a PDF.

    Raises:
        NotFound: There is no such occurrence in the caller's places.
        Conflict: It is not over yet.
    """
    result = await result_of(session, occurrence_id, caller)
    if not result.is_settled:
        raise Conflict(
            "Buổi phát chưa có đủ kết quả nên chưa lập được giấy xác nhận; hãy chờ sau giờ kết"
            " thúc khoảng 15 phút."
        )
    key = (result.bulletin_id, result.bulletin_revision)
    async with scope.whole(session):
        bulletin = await revisions.get_bulletin(session, result.bulletin_id)
        sound = (await revisions.renditions(session, [key])).get(key, [])
        heard = await joined.of_occurrence(session, occurrence_id)
    territory = await scope.territory_of(session)
    unit = territory.lineage.last(bulletin.area_code, territory.on)
    area = bulletin.area_code if unit is None else unit.called
    files = [(each.codec.value, each.sha256) for each in sound]
    files += sorted({(_joined(each), each.sha256) for each in heard.values()})
    said = contents(result, area, files, caller.name, now)
    async with _ONE_AT_A_TIME:
        return await asyncio.to_thread(rendered, said)


def _joined(sound: Joined) -> str:
    return ", ".join((sound.codec, *map(named, sound.languages)))


def contents(
    result: OccurrenceResultOut,
    area: str,
    files: Iterable[tuple[str, str]],
    by: str,
    now: datetime,
) -> dict[str, Any]:
    """What a certificate says. Pure.

    Args:
        result: How the occurrence sounded.
        area: Unit of the station.
        files: What sounded, each with its SHA-256.
        by: Who asks for it.
        now: Present.
    """
    local = now.astimezone(LOCAL)
    clusters = {each.code: each for each in result.clusters}
    seconds = result.audio_seconds
    facts = [
        ("Bản tin", result.title),
        ("Mức", _CLASSES[result.class_]),
        ("Phiên bản", f"{result.bulletin_revision}"),
        *((f"SHA-256 ({which})", _broken(value)) for which, value in files),
        ("Giờ phát theo lịch", f"{result.starts_at.astimezone(LOCAL):%H:%M ngày %d/%m/%Y}"),
        ("Thời lượng", "chưa rõ" if seconds is None else f"{texts.seconds(seconds)} giây"),
        ("Số cụm loa", f"{len(result.clusters)}"),
        ("Mã buổi phát", str(result.occurrence_id)),
        ("Người lập", f"{by}, lúc {local:%H:%M:%S ngày %d/%m/%Y}"),
    ]
    return {
        "title": f"Giấy xác nhận phát: {result.title}",
        "issuer": f"Ủy ban nhân dân {area}",
        "station": f"Đài truyền thanh {area}",
        "place": place_of(area),
        "made": {"day": f"{local:%d}", "month": f"{local:%m}", "year": f"{local:%Y}"},
        "facts": facts,
        "answer": result.answer,
        "villages": [
            {
                "name": f"{each.name} ({each.commune})" if each.commune else each.name,
                "result": texts.SOUNDINGS[each.sounding],
                "proofs": [_proof(clusters[code]) for code in each.clusters] or [each.reason_text],
            }
            for each in result.villages
        ],
        "method": METHOD,
    }


def place_of(area: str) -> str:
    """The name of a unit without its kind, as documents name the place.

    >>> place_of("xã Nghĩa Giang"), place_of("Tỉnh Quảng Ngãi")
    ('Nghĩa Giang', 'Quảng Ngãi')
    """
    kind = next((each for each in _KINDS if area.lower().startswith(each + " ")), "")
    return area[len(kind) :].strip()


def _proof(cluster: ClusterResultOut) -> str:
    verdict = cluster.verdict.rstrip(".")
    return f"{cluster.code}: {verdict[0].lower()}{verdict[1:]}; {cluster.evidence_text}"


def _broken(sha256: str) -> str:
    """In groups, so that it fits a line and can be compared by eye."""
    return " ".join(sha256[at : at + 8] for at in range(0, len(sha256), 8))


def rendered(said: dict[str, Any]) -> bytes:
    """The PDF of these contents; what people wrote is text in it, never markup."""
    import typst  # noqa: PLC0415  34 MB that a start does not need

    pdf = typst.compile(
        str(TEMPLATE),
        font_paths=[str(FONTS)] if FONTS.is_dir() else [],
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(said, ensure_ascii=False)},
    )
    assert isinstance(pdf, bytes)
    return pdf
