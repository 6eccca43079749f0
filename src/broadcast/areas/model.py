"""Administrative units over time: rows are closed and opened, never edited."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.kit.db import Base, enum_type


class Level(StrEnum):
    """Place in the tree. Districts ended on 2025-06-30 (Luật 72/2025/QH15)."""

    PROVINCE = "province"
    DISTRICT = "district"
    COMMUNE = "commune"
    VILLAGE = "village"


class Area(Base):
    """One unit under one name and parent for one span of days.

    Identity is (code, valid_from): a commune's code can return under a new name, and a village
    keeps its code when it passes to another commune.
    """

    __tablename__ = "areas"
    __table_args__ = (
        sa.UniqueConstraint("code", "valid_from"),
        sa.CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="span"),
        sa.Index("ix_areas_parent_code", "parent_code"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    code: Mapped[str]
    """Statistics office: 2 digits province, 3 district, 5 commune. Villages: any topic level."""
    level: Mapped[Level] = mapped_column(enum_type(Level))
    kind: Mapped[str]
    """xã, phường, thị trấn, đặc khu, thôn, tổ dân phố, …"""
    name: Mapped[str]
    parent_code: Mapped[str | None]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    """Last day, inclusive; None while the unit exists."""


class Part(StrEnum):
    """Share of the old unit that went into the new one: the whole or a part."""

    WHOLE = "whole"
    PART = "part"


class AreaLineage(Base):
    """Successor of a unit from a day on, and the legal act."""

    __tablename__ = "area_lineage"

    old_code: Mapped[str] = mapped_column(primary_key=True)
    new_code: Mapped[str] = mapped_column(primary_key=True)
    effective_on: Mapped[date] = mapped_column(primary_key=True)
    part: Mapped[Part] = mapped_column(enum_type(Part))
    legal_act: Mapped[str]


class RegisteredVillage(Base):
    """A row of the village register: from a day on the village lies in this commune.

    The rows of `areas` with level village are derived from it and from the communes' lineage
    (`placement`); `commune_code` is a unit of `valid_from`.
    """

    __tablename__ = "village_register"
    __table_args__ = (
        sa.CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="span"),
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    commune_code: Mapped[str]
    valid_to: Mapped[date | None]


class VillageContact(Base):
    """Whom to call in a village when no loudspeaker answers there: its head, as of today."""

    __tablename__ = "village_contacts"

    village_code: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    phone: Mapped[str]
    changed_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    changed_at: Mapped[datetime]


class VillageLanguages(Base):
    """Languages of the people of a village from a day on, in the order of speaking to them."""

    __tablename__ = "village_languages"

    village_code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    languages: Mapped[list[dict[str, Any]]]
    """`language` (BCP 47) and `share`, per cent of the people, null where nobody has counted."""
    changed_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    changed_at: Mapped[datetime]


class Topology(Base):
    """One row that counts changes of areas, plants, clusters, devices and installations.

    Code that changes them calls `topology.touch`; the dispatcher sees the count grow and
    resolves the targets of everything that has not started yet again.
    """

    __tablename__ = "topology"
    is_recorded = False

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(sa.BigInteger)
    applied_revision: Mapped[int] = mapped_column(sa.BigInteger)
    applied_on: Mapped[date | None]
    """Local day whose units were last applied: a new day can bring new units."""
