"""Fields of stations, plants, clusters and the baseline list, for REST and CSV files alike.

A field is stated once, in the `…In` of its thing: the row of the file is that and the columns that
name and date it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from broadcast.auth.people import PersonOut
from broadcast.kit import cells
from broadcast.kit.cells import Cell
from broadcast.kit.sheets import Report
from broadcast.kit.text import Note, Reference
from broadcast.kit.times import Day, Moment
from broadcast.stations.model import (
    Evidence,
    Grade,
    OutageKind,
    PlantStatus,
    StationStatus,
    Technology,
)
from broadcast.web.fields import Code, Name, Text, example, one_of_two
from broadcast.web.rest import Body


class _Coded(Body):
    code: Code


# --- stations ------------------------------------------------------------------------------------


class StationIn(Body):
    """A station without its status."""

    model_config = example(
        name="Đài truyền thanh xã Sơn Tịnh", commune_code="21220", valid_from="2025-07-01"
    )

    name: Name
    commune_code: Code
    valid_from: Day
    valid_to: Day | None = None


class StationStateIn(Body):
    """Status of a station from a day on, why, and by which document."""

    model_config = example(
        status="operating", cause="nghiệm thu", document="12/BB-UBND ngày 30/6/2025"
    )

    status: StationStatus
    cause: Name
    document: Text = ""


class NewStationIn(StationStateIn, StationIn, _Coded):
    """A station with its first status."""

    model_config = example(
        code="DTT-21220",
        name="Đài truyền thanh xã Sơn Tịnh",
        commune_code="21220",
        valid_from="2025-07-01",
        status="operating",
        cause="thành lập",
        document="1677/NQ-UBTVQH15",
    )


class StationRow(StationIn, _Coded):
    """A row of stations.csv: a station, and its status from a day on."""

    status: StationStatus
    status_from: Day | None = None
    """The station's first day when None."""
    cause: Text = ""
    document: Text = ""


class StationOut(BaseModel):
    """A station as it is on a day."""

    code: str
    name: str
    commune_code: str
    valid_from: Day
    valid_to: Day | None
    status: StationStatus | None
    """None before its first status."""
    status_from: Day | None


class StationStateOut(BaseModel):
    """A status with its first day."""

    status: StationStatus
    cause: str
    document: str
    valid_from: Day


class UndecidedOut(BaseModel):
    """A station whose commune was divided: a person moves its plants and closes it."""

    code: str
    commune_code: str
    candidates: list[str]


class MergerOut(BaseModel):
    """Report of following a merger, and the stations left to a person."""

    report: Report
    undecided: list[UndecidedOut]


# --- plants --------------------------------------------------------------------------------------


class PlantIn(Body):
    """Station, technologies and status of a plant from a day on."""

    model_config = example(
        station_code="DTT-21220", technologies=["wired", "fm"], status="operating", document=""
    )

    station_code: Code
    technologies: Annotated[set[Technology], Field(min_length=1)]
    status: PlantStatus = PlantStatus.OPERATING
    document: Text = ""


class PlantNameIn(Body):
    """Name of a plant."""

    name: Name


class _Dated(PlantNameIn, _Coded):
    valid_from: Day


class NewPlantIn(PlantIn, _Dated):
    """A plant and its state from its first day on; a row of plants.csv."""


class PlantOut(BaseModel):
    """A plant as it is on a day."""

    code: str
    name: str
    station_code: str
    technologies: list[Technology]
    status: PlantStatus
    document: str
    valid_from: Day


# --- clusters ------------------------------------------------------------------------------------


class ClusterIn(Body):
    """A cluster, apart from its code and the villages it serves."""

    model_config = example(
        name="Nhà văn hóa thôn Phú Bình",
        plant_code="HT-21262-1",
        latitude=15.12,
        longitude=108.88,
        horns_count=2,
        watts=50,
        power_feed="471-E16.1",
        evidence="telemetry",
        installed_on="2024-05-01",
    )

    name: Name
    plant_code: Code
    # Vietnam with its islands: a swapped pair is noticed.
    latitude: Annotated[float | None, Field(ge=6, le=24)] = None
    longitude: Annotated[float | None, Field(ge=102, le=118)] = None
    horns_count: Annotated[int, Field(ge=1, le=99)] = 1
    watts: Annotated[int | None, Field(ge=1, le=9_999)] = None
    power_feed: Annotated[
        Name | None,
        Field(description="đường dây hoặc trạm biến áp cấp điện, theo tên của Điện lực"),
    ] = None
    evidence: Evidence = Evidence.TELEMETRY
    installed_on: Day
    removed_on: Day | None = None


def read_villages(cell: str) -> dict[str, Grade]:
    """Villages with their grades, `T-0001:primary;T-0002:partial`; primary when none is named.

    Raises:
        ValueError: A code or a grade that is none, or a village twice.
    """
    grade_of = cells.choice(Grade)
    villages: dict[str, Grade] = {}
    for item in filter(None, (item.strip() for item in cell.split(";"))):
        name, _, grade = item.partition(":")
        code = cells.code(name.strip())
        if code in villages:
            raise ValueError(f"thôn {code} có hai lần; bỏ một")
        villages[code] = grade_of(grade.strip()) if grade else Grade.PRIMARY
    return villages


class ClusterRow(ClusterIn, _Coded):
    """A row of clusters.csv: a cluster, and the villages it serves from a day on."""

    villages: Annotated[dict[Code, Grade] | None, Cell(read_villages)] = None
    """None leaves the villages as they are."""
    villages_from: Day | None = None
    """The day of installation when None."""


class ServedVillage(Body):
    """A village that a cluster serves."""

    village_code: Code
    grade: Grade = Grade.PRIMARY


class NewClusterIn(ClusterIn, _Coded):
    """A cluster and the villages it serves from its installation on."""

    villages: Annotated[list[ServedVillage], Field(min_length=1)]


# --- the baseline list ---------------------------------------------------------------------------


class BaselineIn(Body):
    """A station of the list that the plan began with."""

    model_config = example(listed_on="2024-07-09", technologies=["wired"], document="148/KH-UBND")

    listed_on: Day
    technologies: Annotated[set[Technology], Field(min_length=1)]
    document: Text = ""


class _Listed(Body):
    station_code: Code


class BaselineRow(BaselineIn, _Listed):
    """A row of baseline.csv."""


class BaselineOut(BaseModel):
    """An entry of the baseline list."""

    station_code: str
    listed_on: Day
    technologies: list[Technology]
    document: str


# --- outages and attestations --------------------------------------------------------------------


class OutageIn(Body):
    """A declared maintenance or power cut of one cluster, or of all clusters of an area."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "kind": "power_cut",
                "area_code": "21034",
                "starts_at": "2025-08-01T07:00:00+07:00",
                "ends_at": "2025-08-01T11:30:00+07:00",
                "document": "Thông báo của Điện lực",
            },
            "oneOf": one_of_two("cluster_code", "area_code"),
        }
    )

    kind: OutageKind
    cluster_code: Code | None = None
    area_code: Code | None = None
    starts_at: Moment
    ends_at: Moment
    document: Text = ""


class OutageOut(BaseModel):
    """An outage with who declared it."""

    id: int
    kind: OutageKind
    cluster_code: str | None
    area_code: str | None
    starts_at: Moment
    ends_at: Moment
    document: str
    declared_by: PersonOut


class AttestationIn(Body):
    """Somebody's word that a cluster without telemetry works, with photo or recording."""

    model_config = example(
        cluster_code="CL-00017",
        attested_at="2025-08-01T05:10:00+07:00",
        attested_by="Trưởng thôn Phú Bình",
        reference="anh/2025-08-01/CL-00017.jpg",
    )

    cluster_code: Code
    attested_at: Moment
    attested_by: Name
    reference: Reference
    note: Note = ""


class AttestationOut(BaseModel):
    """An attestation."""

    id: int
    cluster_code: str
    attested_at: Moment
    attested_by: str = Field(description="người đã nghe tận nơi")
    reference: str
    note: str
    declared_by: PersonOut | None = Field(
        description="tài khoản đã nhập; null: nhập trước khi có tài khoản"
    )
