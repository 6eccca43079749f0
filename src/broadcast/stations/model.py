"""Station (legal) · plant (technical) · cluster (on the pole).

Thông tư 39/2020/TT-BTTTT speaks of stations; after a merger of communes one station inherits
several plants. What can change carries the day from which it holds, so that any past date can
be asked about: the row in force on T is the newest with `valid_from` ≤ T.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.kit.db import Base, enum_type


class StationStatus(StrEnum):
    """Life of a station; `operating` and `degraded` count as in operation."""

    PLANNED = "planned"
    INSTALLING = "installing"
    TRIAL = "trial"
    OPERATING = "operating"
    DEGRADED = "degraded"
    OUT_OF_SERVICE = "out_of_service"
    DECOMMISSIONED = "decommissioned"


class Technology(StrEnum):
    """Way in which a plant carries sound to its clusters."""

    WIRED = "wired"  # hữu tuyến
    FM = "fm"  # vô tuyến FM
    IT = "it"  # ứng dụng công nghệ thông tin – viễn thông


class PlantStatus(StrEnum):
    """Life of a plant; only an operating one counts."""

    OPERATING = "operating"
    OUT_OF_SERVICE = "out_of_service"
    DECOMMISSIONED = "decommissioned"


class Evidence(StrEnum):
    """Proof that a cluster operates: reports of its device, attestations, or none."""

    TELEMETRY = "telemetry"
    ATTESTED = "attested"
    NONE = "none"


class Grade(StrEnum):
    """Grade of a cluster's service to a village. A device follows its primary villages only."""

    PRIMARY = "primary"
    PARTIAL = "partial"


class OutageKind(StrEnum):
    """Declared times in which a cluster is not expected to be online."""

    MAINTENANCE = "maintenance"
    POWER_CUT = "power_cut"


class Station(Base):
    """A commune radio station (đài truyền thanh cấp xã): one legal unit per commune."""

    __tablename__ = "stations"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    commune_code: Mapped[str] = mapped_column(index=True)
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    """Last day, inclusive."""


class StationState(Base):
    """Status of a station from a day on, with cause and document."""

    __tablename__ = "station_states"

    station_id: Mapped[int] = mapped_column(sa.ForeignKey("stations.id"), primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    status: Mapped[StationStatus] = mapped_column(enum_type(StationStatus))
    cause: Mapped[str] = mapped_column(default="")
    document: Mapped[str] = mapped_column(default="")


class BaselineStation(Base):
    """The wired/FM stations to be converted, frozen when the plan began (indicator 1.2-GOC)."""

    __tablename__ = "baseline_stations"

    station_id: Mapped[int] = mapped_column(sa.ForeignKey("stations.id"), primary_key=True)
    listed_on: Mapped[date]
    technologies: Mapped[list[str]]
    document: Mapped[str] = mapped_column(default="")


class Plant(Base):
    """A technical head-end; survives the station it was built for."""

    __tablename__ = "plants"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]


class PlantState(Base):
    """Station, technologies and status of a plant from a day on."""

    __tablename__ = "plant_states"

    plant_id: Mapped[int] = mapped_column(sa.ForeignKey("plants.id"), primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    station_id: Mapped[int] = mapped_column(sa.ForeignKey("stations.id"), index=True)
    technologies: Mapped[list[str]]
    """A set of `Technology`: wired and FM together are common."""
    status: Mapped[PlantStatus] = mapped_column(enum_type(PlantStatus))
    document: Mapped[str] = mapped_column(default="")


class Cluster(Base):
    """A loudspeaker cluster (cụm loa) on its pole.

    Its code is the province's own and outlives communes, plants and devices.
    """

    __tablename__ = "clusters"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    plant_id: Mapped[int] = mapped_column(sa.ForeignKey("plants.id"), index=True)
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    horns_count: Mapped[int] = mapped_column(default=1)
    watts: Mapped[int | None]
    power_feed: Mapped[str | None]
    """The line or transformer that feeds it, as the electricity company names it."""
    evidence: Mapped[Evidence] = mapped_column(enum_type(Evidence))
    installed_on: Mapped[date]
    removed_on: Mapped[date | None]
    """First day on which it is gone."""


class ClusterVillage(Base):
    """A village served by a cluster for a span of days."""

    __tablename__ = "cluster_villages"
    __table_args__ = (sa.Index("ix_cluster_villages_village_code", "village_code"),)

    cluster_id: Mapped[int] = mapped_column(sa.ForeignKey("clusters.id"), primary_key=True)
    village_code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    grade: Mapped[Grade] = mapped_column(enum_type(Grade))


class Outage(Base):
    """A declared maintenance or power cut of a cluster or of all clusters of an area."""

    __tablename__ = "outages"
    __table_args__ = (
        sa.CheckConstraint("(cluster_id IS NULL) <> (area_code IS NULL)", name="one_place"),
        sa.CheckConstraint("ends_at > starts_at", name="span"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    kind: Mapped[OutageKind] = mapped_column(enum_type(OutageKind))
    cluster_id: Mapped[int | None] = mapped_column(sa.ForeignKey("clusters.id"))
    area_code: Mapped[str | None]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    document: Mapped[str] = mapped_column(default="")
    declared_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))


class Attestation(Base):
    """Somebody's word, with a photo or a recording, that a cluster without telemetry works."""

    __tablename__ = "attestations"
    __table_args__ = (sa.Index("ix_attestations_cluster", "cluster_id", "attested_at"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    cluster_id: Mapped[int] = mapped_column(sa.ForeignKey("clusters.id"))
    attested_at: Mapped[datetime]
    attested_by: Mapped[str]
    """Who heard it; need not have an account."""
    reference: Mapped[str]
    """Place where the photo or recording is kept."""
    note: Mapped[str] = mapped_column(default="")
    declared_by: Mapped[int | None] = mapped_column(sa.ForeignKey(Account.id))
    """Who entered it; None before that was kept."""
