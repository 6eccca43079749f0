"""The indicators counted again: slowly, row by row, by somebody who has not seen the real code.

Reads whole tables of raw evidence (heartbeats, journal records, installations, lineage …) and
asks every minute, village and plant on its own, following docs/indicators.md. Shares with the
product only the tables and the numbers of the definition.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from fractions import Fraction
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.indicators.definitions import OperatingRule

ICT = timezone(timedelta(hours=7))
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

TABLES = (
    "areas", "area_lineage", "village_exclusions", "stations", "station_states",
    "baseline_stations", "plant_states", "clusters", "cluster_villages", "outages",
    "attestations", "installations", "heartbeats", "faults", "plays", "journal_records",
    "portals", "portal_checks", "portal_items", "portal_update_rules",
)  # fmt: skip

Row = Any


@dataclass
class Count:
    """One variant, recounted."""

    denominator: set[str] = field(default_factory=set)
    numerator: dict[str, str] = field(default_factory=dict)
    """Code → evidence."""
    excluded: set[str] = field(default_factory=set)
    partly: set[str] = field(default_factory=set)
    errors: set[str] = field(default_factory=set)


async def read(session: AsyncSession) -> dict[str, list[Row]]:
    """All rows of all tables of evidence."""
    return {
        name: list(await session.execute(sa.text(f"SELECT * FROM {name}")))  # table names above
        for name in TABLES
    }


class Recount:
    """One day."""

    def __init__(
        self, tables: dict[str, list[Row]], as_of: date, rule: OperatingRule, now: datetime
    ) -> None:
        self.t, self.day, self.rule = tables, as_of, rule
        self.scope = ""
        self.end = min(now, datetime.combine(as_of + DAY, time(), ICT))
        self.first = as_of - (rule.window_days - 1) * DAY
        self.area = {row.code: row for row in tables["areas"] if self.in_force(row, as_of)}
        self.clusters = {
            row.id: row
            for row in tables["clusters"]
            if row.installed_on <= as_of and (row.removed_on is None or row.removed_on > as_of)
        }
        self.homes: dict[int, set[str]] = {}
        window = datetime.combine(self.first, time(), ICT)
        self.heard = {
            (row.device_id, row.sent_at.replace(second=0, microsecond=0))
            for row in tables["heartbeats"]
            if window <= row.sent_at < self.end
        }
        self.hours = self.minutes_in_hours()
        self.known: dict[int, tuple[int, int]] = {}
        self.proof = {number: self.proof_of(number) for number in self.clusters}
        self.plant = self.newest("plant_states", "plant_id", as_of)

    @staticmethod
    def in_force(row: Row, on: date) -> bool:
        return bool(row.valid_from <= on and (row.valid_to is None or on <= row.valid_to))

    def newest(self, table: str, key: str, on: date) -> dict[int, Row]:
        rows = sorted(self.t[table], key=lambda row: row.valid_from)
        return {getattr(row, key): row for row in rows if row.valid_from <= on}

    # --- units -----------------------------------------------------------------------------------

    def above(self, code: str, on: date) -> list[str]:
        """The unit and all above it on a day."""
        chain: list[str] = []
        parent: str | None = code
        while parent is not None:
            chain.append(parent)
            parent = next(
                (
                    row.parent_code
                    for row in self.t["areas"]
                    if row.code == parent and self.in_force(row, on)
                ),
                None,
            )
        return chain

    def became(self, code: str, since: date, *, stays: bool = False) -> set[str]:
        """What a unit of a day is on the day asked about, day by day.

        What `stays` is with the unit as long as that goes on, whatever part it gives away.
        """
        units, on = {code}, since
        while on < self.day:
            on += DAY
            after = set()
            for unit in units:
                before = next(
                    (
                        row
                        for row in self.t["areas"]
                        if row.code == unit and self.in_force(row, on - DAY)
                    ),
                    None,
                )
                if before is None:
                    continue
                heirs = {
                    row.new_code
                    for row in self.t["area_lineage"]
                    if row.old_code == unit and row.effective_on == on
                }
                goes_on = self.in_force(before, on)
                reopens = any(row.code == unit and row.valid_from == on for row in self.t["areas"])
                if not (stays and goes_on):
                    after |= heirs
                if goes_on or (reopens and not heirs):
                    after.add(unit)
            units = after
        return units

    def communes(self) -> list[str]:
        return [
            code
            for code, row in self.area.items()
            if row.level == "commune" and self.scope in self.above(code, self.day)
        ]

    def commune_of(self, village: Row) -> set[str]:
        """Its commune; those it may lie in, when it is not on record which."""
        parent = self.area[village.parent_code]
        has_communes = any(
            row.level == "commune" and row.parent_code == parent.code for row in self.area.values()
        )
        if parent.level == "commune" or (parent.level == "district" and not has_communes):
            return {parent.code}
        former = [
            row
            for row in self.t["areas"]
            if row.code == village.code
            and row.valid_to is not None
            and row.valid_to < village.valid_from
            and any(
                unit.code == row.parent_code
                and unit.level == "commune"
                and self.in_force(unit, row.valid_to)
                for unit in self.t["areas"]
            )
        ]
        if not former:
            return set()
        last = max(former, key=lambda row: row.valid_to)
        return self.became(last.parent_code, last.valid_to)

    def is_placed(self, village: Row) -> bool:
        return self.commune_of(village) == {village.parent_code}

    def villages(self) -> list[Row]:
        return [
            row
            for row in self.area.values()
            if row.level == "village"
            and (
                self.scope in self.above(row.code, self.day)
                or (
                    not self.is_placed(row)
                    and any(
                        self.scope in self.above(code, self.day) for code in self.commune_of(row)
                    )
                )
            )
        ]

    def excluded_villages(self) -> set[str]:
        return {
            row.village_code
            for row in self.t["village_exclusions"]
            if self.in_force(row, self.day)
        }

    # --- clusters --------------------------------------------------------------------------------

    def stays(self, cluster: int) -> list[Row]:
        return [
            row
            for row in self.t["installations"]
            if row.cluster_id == cluster and row.installed_at < self.end
        ]

    def hung_in_minute(self, stay: Row, minute: datetime) -> bool:
        begins = stay.installed_at.replace(second=0, microsecond=0)
        ends = stay.removed_at and stay.removed_at.replace(second=0, microsecond=0)
        return bool(begins <= minute and (ends is None or minute < ends))

    def outages(self, cluster: int) -> list[tuple[datetime, datetime]]:
        found = []
        for row in self.t["outages"]:
            on = row.starts_at.astimezone(ICT).date()
            concerned = row.cluster_id == cluster or any(
                row.area_code in self.above(link.village_code, on)
                for link in self.t["cluster_villages"]
                if link.cluster_id == cluster
                and link.grade == "primary"
                and self.in_force(link, on)
                and row.area_code is not None
            )
            if concerned:
                found.append((row.starts_at, row.ends_at))
        return found

    def minutes_in_hours(self) -> list[datetime]:
        """Every minute of the window in broadcast hours that was over by the end."""
        minutes = []
        minute = datetime.combine(self.first, time(), ICT)
        while minute + MINUTE <= self.end:
            clock = minute.time()
            if any(
                start <= clock < end if start < end else clock >= start or clock < end
                for start, end in self.rule.broadcast_hours
            ):
                minutes.append(minute)
            minute += MINUTE
        return minutes

    def minutes(self, cluster: int) -> tuple[int, int]:
        """Expected and heard."""
        if cluster not in self.known:
            self.known[cluster] = self.ask_minutes(cluster)
        return self.known[cluster]

    def ask_minutes(self, cluster: int) -> tuple[int, int]:
        stays, outages = self.stays(cluster), self.outages(cluster)
        if not stays:
            return 0, 0
        since = min(row.installed_at for row in stays)
        expected = online = 0
        for minute in self.hours:
            if minute >= since and not any(
                start < minute + MINUTE and minute < end for start, end in outages
            ):
                expected += 1
                online += any(
                    self.hung_in_minute(stay, minute) and (stay.device_id, minute) in self.heard
                    for stay in stays
                )
        return expected, online

    def played(self, cluster: int) -> bool:
        """A completed play on one of the last days with broadcasts."""
        window = datetime.combine(self.first, time(), ICT)
        outages = self.outages(cluster)
        days, completed = set(), set()
        for play in self.t["plays"]:
            if play.cluster_id != cluster or not window <= play.starts_at < self.end:
                continue
            day = play.starts_at.astimezone(ICT).date()
            if self.is_complete(play):
                days.add(day)
                completed.add(day)
            elif (
                play.state != "cancelled"
                and play.ends_by < self.end
                and not any(start <= play.starts_at < end for start, end in outages)
            ):
                days.add(day)
        return bool(completed & set(sorted(days)[-self.rule.play_within_days :]))

    def is_complete(self, play: Row) -> bool:
        """The journal of the device that hung there says it sounded to its end."""
        return any(
            record.occurrence_id == str(play.occurrence_id)
            and record.event == "ended"
            and record.body["reason"] == "completed"
            and record.at < self.end
            and any(
                stay.device_id == record.device_id
                and stay.cluster_id == play.cluster_id
                and stay.installed_at <= record.at
                and (stay.removed_at is None or record.at < stay.removed_at)
                for stay in self.t["installations"]
            )
            for record in self.t["journal_records"]
        )

    def broken(self, cluster: int) -> bool:
        for stay in self.stays(cluster):
            if stay.removed_at is not None and stay.removed_at < self.end:
                continue
            for fault in self.t["faults"]:
                since = max(fault.opened_at, stay.installed_at)
                if (
                    fault.device_id == stay.device_id
                    and fault.kind in self.rule.speaker_faults
                    and fault.opened_at < self.end
                    and (fault.closed_at is None or fault.closed_at >= self.end)
                    and self.end - since > self.rule.speaker_fault
                ):
                    return True
        return False

    def reports(self, cluster: int) -> bool:
        window = datetime.combine(self.first, time(), ICT)
        return self.clusters[cluster].evidence == "telemetry" and any(
            stay.removed_at is None or stay.removed_at > window for stay in self.stays(cluster)
        )

    def proof_of(self, cluster: int) -> str:
        """How it is proven that the cluster operates; `none` when it does not."""
        if not self.reports(cluster):
            fresh = any(
                row.cluster_id == cluster
                and row.attested_at < self.end
                and self.end - row.attested_at <= self.rule.attestation
                for row in self.t["attestations"]
            )
            return "attested" if fresh else "none"
        expected, online = self.minutes(cluster)
        share = self.rule.online_share
        sounds = (
            expected > 0
            and online * share.denominator >= expected * share.numerator
            and self.played(cluster)
            and not self.broken(cluster)
        )
        return "telemetry" if sounds else "none"

    # --- 1.1 -------------------------------------------------------------------------------------

    def station_communes(self, station: int) -> set[str]:
        if station in self.homes:
            return self.homes[station]
        row = next(row for row in self.t["stations"] if row.id == station)
        first = min(
            (unit.valid_from for unit in self.t["areas"] if unit.code == row.commune_code),
            default=row.valid_from,
        )
        since = max(row.valid_from, first)
        self.homes[station] = self.became(row.commune_code, since, stays=True)
        return self.homes[station]

    def village_proof(self, village: Row) -> str:
        """Best evidence that its own commune's sound reaches it."""
        if not self.is_placed(village):
            return "none"
        proofs = []
        for link in self.t["cluster_villages"]:
            if (
                link.village_code != village.code
                or link.grade != "primary"
                or not self.in_force(link, self.day)
                or link.cluster_id not in self.clusters
            ):
                continue
            plant = self.plant.get(self.clusters[link.cluster_id].plant_id)
            if plant is not None and not self.reports(link.cluster_id):
                home = self.station_communes(plant.station_id)
                if len(home) == 1 and home != {village.parent_code}:
                    continue
            proofs.append(self.proof[link.cluster_id])
        return best(proofs)

    def status(self, station: int) -> str | None:
        row = self.newest("station_states", "station_id", self.day).get(station)
        return row.status if row else None

    def stations(self) -> list[Row]:
        return [row for row in self.t["stations"] if self.in_force(row, self.day)]

    def stations_of(self, commune: str) -> list[Row]:
        return [row for row in self.stations() if self.station_communes(row.id) == {commune}]

    def plants_of(self, station: int) -> list[int]:
        return [
            plant
            for plant, state in self.plant.items()
            if state.station_id == station and state.status != "decommissioned"
        ]

    def plant_proof(self, plant: int) -> str:
        return best(
            self.proof[number] for number, row in self.clusters.items() if row.plant_id == plant
        )

    def count(self, scope: str) -> dict[str, Count]:
        """All variants for one scope."""
        self.scope = scope
        counts = {
            f"{code} {variant}": Count()
            for code, variants in {
                "1.1": "BC TH NG67 NG80 THON",
                "1.2": "BC GOC XA",
                "1.3": "TX CO",
            }.items()
            for variant in variants.split()
        }
        self.count_reports(counts["1.1 BC"])
        for variant, share in [
            ("TH", Fraction(1)), ("NG67", Fraction(2, 3)), ("NG80", Fraction(4, 5))
        ]:  # fmt: skip
            self.count_reached(counts[f"1.1 {variant}"], share)
        self.count_villages(counts["1.1 THON"])
        self.count_stations(counts["1.2 BC"])
        self.count_baseline(counts["1.2 GOC"])
        self.count_converted_communes(counts["1.2 XA"])
        self.count_portals(counts["1.3 TX"], counts["1.3 CO"])
        return counts

    def count_reports(self, count: Count) -> None:
        for commune in self.communes():
            count.denominator.add(commune)
            stations = self.stations_of(commune)
            states = [self.status(row.id) for row in stations]
            proofs = [
                self.plant_proof(plant)
                for row in stations
                if self.status(row.id) in {"operating", "degraded"}
                for plant in self.plants_of(row.id)
            ]
            if "operating" in states or "degraded" in states:
                count.numerator[commune] = best(proofs)
            elif stations and set(states) == {None}:
                count.errors.add(commune)

    def count_reached(self, count: Count, wanted: Fraction) -> None:
        left_out = self.excluded_villages()
        villages = self.villages()
        count.excluded = {row.code for row in villages} & left_out
        for commune in self.communes():
            count.denominator.add(commune)
            here = [
                row
                for row in villages
                if commune in self.commune_of(row) and row.code not in left_out
            ]
            proofs = [self.village_proof(row) for row in here]
            placed = [self.village_proof(row) for row in here if self.is_placed(row)]

            def suffices(proofs: list[str], *accepted: str) -> bool:
                return sum(each in accepted for each in proofs) >= wanted * len(proofs)

            if here and suffices(proofs, "telemetry", "attested"):
                by_telemetry = suffices(proofs, "telemetry")
                count.numerator[commune] = "telemetry" if by_telemetry else "attested"
            elif not here or suffices(placed, "telemetry", "attested"):
                count.errors.add(commune)

    def count_villages(self, count: Count) -> None:
        for row in self.villages():
            if row.code in self.excluded_villages():
                count.excluded.add(row.code)
                continue
            count.denominator.add(row.code)
            proof = self.village_proof(row)
            if proof != "none":
                count.numerator[row.code] = proof
            if not self.is_placed(row):
                count.errors.add(row.code)

    # --- 1.2 -------------------------------------------------------------------------------------

    def is_converted(self, plant: int) -> bool:
        state = self.plant[plant]
        return "it" in state.technologies and state.status == "operating"

    def in_scope(self, station: int) -> bool:
        return any(
            self.scope in self.above(code, self.day) for code in self.station_communes(station)
        )

    def count_stations(self, count: Count) -> None:
        for row in self.stations():
            if not self.in_scope(row.id):
                continue
            status = self.status(row.id)
            if status in {"planned", "installing", "decommissioned"}:
                count.excluded.add(row.code)
                continue
            count.denominator.add(row.code)
            plants = self.plants_of(row.id)
            done = [self.is_converted(plant) for plant in plants]
            if status is None or len(self.station_communes(row.id)) != 1 or not plants:
                count.errors.add(row.code)
            elif all(done):
                count.numerator[row.code] = worst(map(self.plant_proof, plants))
            elif any(done):
                count.partly.add(row.code)

    def count_baseline(self, count: Count) -> None:
        for entry in self.t["baseline_stations"]:
            if entry.listed_on > self.day or not self.in_scope(entry.station_id):
                continue
            row = next(row for row in self.t["stations"] if row.id == entry.station_id)
            count.denominator.add(row.code)
            then = self.newest("plant_states", "plant_id", entry.listed_on)
            plants = [
                plant
                for plant, state in then.items()
                if state.station_id == row.id and state.status != "decommissioned"
            ]
            kept = [plant for plant in plants if self.plant[plant].status != "decommissioned"]
            heirs = [self.replacement(plant) for plant in plants if plant not in kept]
            done = [self.is_converted(plant) for plant in kept]
            if not plants:
                count.errors.add(row.code)
            elif all(done) and None not in heirs:
                proofs = [self.plant_proof(plant) for plant in kept]
                count.numerator[row.code] = worst([*proofs, *(heir or "" for heir in heirs)])
            elif any(done) and not all(done):
                count.partly.add(row.code)

    def replacement(self, plant: int) -> str | None:
        """Evidence of the plants that stand for a decommissioned one; None without any."""
        home = self.station_communes(self.plant[plant].station_id)
        if len(home) != 1:
            return None
        heirs = [
            other
            for station in self.stations_of(next(iter(home)))
            for other in self.plants_of(station.id)
            if self.is_converted(other)
        ]
        return best(map(self.plant_proof, heirs)) if heirs else None

    def count_converted_communes(self, count: Count) -> None:
        for commune in self.communes():
            count.denominator.add(commune)
            stations = [
                row
                for row in self.stations_of(commune)
                if self.status(row.id) not in {"planned", "installing", "decommissioned"}
            ]
            plants = [plant for row in stations for plant in self.plants_of(row.id)]
            done = [self.is_converted(plant) for plant in plants]
            if not stations:
                continue
            if any(self.status(row.id) is None or not self.plants_of(row.id) for row in stations):
                count.errors.add(commune)
            elif all(done):
                count.numerator[commune] = worst(map(self.plant_proof, plants))
            elif any(done):
                count.partly.add(commune)

    # --- 1.3 -------------------------------------------------------------------------------------

    def count_portals(self, updated: Count, present: Count) -> None:
        rules = [row for row in self.t["portal_update_rules"] if row.valid_from <= self.day]
        rule = max(rules, key=lambda row: row.valid_from, default=None)
        wanted, days = (rule.items, rule.days) if rule else (4, 30)
        window = {self.day - n * DAY for n in range(days)}
        for commune in self.communes():
            updated.denominator.add(commune)
            present.denominator.add(commune)
            own = [row for row in self.t["portals"] if self.belongs(row, commune)]
            if any(
                check.portal_id == portal.id
                and check.checked_at.astimezone(ICT).date() in window
                and check.outcome in {"answered", "unchanged"}
                for portal in own
                for check in self.t["portal_checks"]
            ):
                present.numerator[commune] = "telemetry"
            found: dict[str, list[str]] = {}
            for portal in own:
                for item in self.t["portal_items"]:
                    on = (item.published_at or item.seen_at).astimezone(ICT).date()
                    if item.portal_id == portal.id and not item.is_old and on in window:
                        address = item.url.split("://")[1].removeprefix("www.").rstrip("/")
                        found.setdefault(address, []).append(self.essential(item, portal))
            proofs = [best(each) for each in found.values() if best(each) != "none"]
            if own and len(proofs) >= wanted:
                alone = proofs.count("telemetry") >= wanted
                updated.numerator[commune] = "telemetry" if alone else "attested"

    def belongs(self, portal: Row, commune: str) -> bool:
        is_there = portal.valid_from <= self.day and (
            portal.ended_on is None or self.day <= portal.ended_on
        )
        return is_there and self.became(
            portal.area_code, portal.valid_from, stays=True
        ) == {commune}  # fmt: skip

    @staticmethod
    def essential(item: Row, portal: Row) -> str:
        if item.is_essential is not None:
            return "attested" if item.is_essential else "none"
        named = {plain(tag) for tag in portal.tags}
        return "telemetry" if named & {plain(tag) for tag in item.tags} else "none"


def plain(text: str) -> str:
    """Without accents and capitals."""
    parts = unicodedata.normalize("NFD", text.lower().replace("đ", "d"))
    return "".join(each for each in parts if not unicodedata.combining(each))


ORDER = ["none", "attested", "telemetry"]


def best(proofs: Iterable[str]) -> str:
    return max(proofs, key=ORDER.index, default="none")


def worst(proofs: Iterable[str]) -> str:
    return min(proofs, key=ORDER.index, default="none")
