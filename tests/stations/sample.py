"""A few villages, stations, plants and clusters of 2024 on the official units, as files."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.imports import import_areas, official_files
from broadcast.areas.row_imports import import_files
from broadcast.areas.villages import import_villages
from broadcast.kit.sheets import File
from broadcast.stations.imports import KINDS

VILLAGES = """\
code,kind,name,commune_code,valid_from,valid_to
T-1,thôn,Thôn Phú Bình,21253,2020-02-01,
T-2,thôn,Thôn Tân Mỹ,21262,2020-02-01,
T-3,thôn,Thôn Tây,21142,2020-02-01,
T-4,thôn,Thôn Đông An Hải,536,2020-02-01,
"""

STATIONS = """\
code,name,commune_code,valid_from,valid_to,status,status_from,cause,document
S-1,Đài truyền thanh xã Nghĩa Phú,21253,2020-02-01,,degraded,,bàn giao,
S-2,Đài truyền thanh xã Nghĩa An,21262,2020-02-01,,operating,,bàn giao,
S-3,Đài truyền thanh xã Trà Bùi,21142,2020-02-01,,operating,,bàn giao,
S-4,Đài truyền thanh Lý Sơn,536,2020-02-01,,operating,,bàn giao,
"""

PLANTS = """\
code,name,station_code,valid_from,technologies,status,document
P-1,Hệ thống Nghĩa Phú,S-1,2020-02-01,wired+fm,operating,
P-2,Hệ thống Nghĩa An,S-2,2020-02-01,it,operating,
P-3,Hệ thống Trà Bùi,S-3,2020-02-01,fm,operating,
P-4,Hệ thống Lý Sơn,S-4,2020-02-01,it,operating,
"""

CLUSTERS = """\
code,name,plant_code,latitude,longitude,horns_count,watts,evidence,installed_on,removed_on,villages
C-1,Nhà văn hóa Phú Bình,P-1,15.12,108.88,2,50,telemetry,2024-01-01,,T-1
C-2,Cảng Tân Mỹ,P-2,,,4,100,telemetry,2024-01-01,,T-2:primary;T-1:partial
C-3,Trường Trà Bùi,P-3,,,1,25,attested,2024-01-01,,T-3
C-4,Cảng Lý Sơn,P-4,15.38,109.12,2,50,telemetry,2024-01-01,,T-4
"""

BASELINE = """\
station_code,listed_on,technologies,document
S-1,2024-07-09,wired+fm,148/KH-UBND
S-3,2024-07-09,fm,148/KH-UBND
"""


def file(name: str, text: str) -> File:
    return File(name, text.encode())


FILES = [
    file("clusters.csv", CLUSTERS),
    file("baseline.csv", BASELINE),
    file("plants.csv", PLANTS),
    file("stations.csv", STATIONS),
]
"""In no useful order."""


UNITS = {
    *("51", "522", "525", "536"),
    *("21034", "21136", "21142", "21157", "21172", "21253", "21262", "21548"),
}
"""Enough of the official units for the places above, to be quick."""


def _some(official: File, columns: int) -> File:
    header, *lines = official.data.decode().splitlines(keepends=True)
    kept = [line for line in lines if set(line.split(",")[:columns]) <= UNITS]
    return file(official.name, header + "".join(kept))


async def areas(session: AsyncSession) -> None:
    units, lineage = official_files()
    await import_areas(session, _some(units, 1), _some(lineage, 2))
    await import_villages(session, file("villages.csv", VILLAGES))


async def everything(session: AsyncSession) -> None:
    await areas(session)
    await import_files(session, FILES, KINDS)
