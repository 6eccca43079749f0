"""A box that is powered, connected and holds the pinned key comes right, whatever its state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from broadcast.wire.commands import JournalAck, Resend
from broadcast.wire.documents import Config, Programme
from broadcast.wire.events import Ended, EndReason, Skipped, SkipReason, Started
from device_sim.box import Identity
from device_sim.harness import Device
from device_sim.journal import JOURNAL_LIMIT, Change, Flash
from device_sim.timekeeping import NTP_DOUBT
from tests.device_sim.province import KEYS, START, Province, at, item, told
from tests.examples import examples

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
HOUR = 3600.0
CURED = START + timedelta(minutes=11)
"""A clock that somebody else vouches for is compared with the server's within one interval."""


class Server(Province):
    """Hands out every document that a device lacks, as the real one does."""

    def _heal(self, device_id: str, held: dict[str, int]) -> None:
        for key, (revision, token) in self._documents.items():
            if held.get(key, 0) < revision:
                self.command(Resend, device_id, document=token.decode())


spans = st.one_of(
    st.integers(-20_000, 20_000).map(lambda days: days * DAY),
    st.integers(-90_000, 90_000).map(lambda seconds: seconds * SECOND),
    st.sampled_from([timedelta(0), 61 * SECOND, 90 * SECOND, 3600 * SECOND, 8 * DAY, 61 * DAY]),
)


def device(flash: Flash, **options: Any) -> Device:
    identity = {name: options.pop(name) for name in ("battery_clock",) if name in options}
    return Device(Identity(device_id="d1", keys=KEYS, **identity), flash, **options)


def expect_right(server: Server, box: Device, sounds: list[str]) -> None:
    player = box.player
    assert player is not None
    clock = player._box.clock
    assert player.trusted
    now = server.harness.look(box)
    # NTP is believed as long as it says about the same as the server.
    error = NTP_DOUBT + SECOND if clock.source == "ntp" else SECOND
    assert abs(clock.time(now.monotonic) - server.harness.now) < error
    wanted = {key: revision for key, (revision, _) in server._documents.items()}
    assert player.held == wanted
    assert not box.flash.load().records
    heard = {sound.occurrence_id: sound for sound in box.sounds}
    for name, minutes in zip(sounds, (240, 300), strict=True):
        # A clock that is just as wrong may start one before anybody has been asked.
        started_at = heard[name].started_at
        assert started_at < CURED or abs(started_at - at(minutes)) < error
    assert len(box.sounds) == len(heard), "twice"


TRUSTED: Any = {
    "lead": timedelta(0), "bound": None, "battery": True, "ntp": False, "rogue": None, "full": 0,
}  # fmt: skip
"""A battery keeps the clock, and vouches for it."""


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow], deadline=None)
@example(**TRUSTED, skew=90 * SECOND)
@example(**TRUSTED, skew=5 * 3600 * SECOND)
@example(**TRUSTED | {"bound": 40 * DAY, "ntp": True, "full": 7}, skew=40 * DAY)
@example(**TRUSTED | {"bound": 4000 * DAY, "battery": False, "ntp": True}, skew=timedelta(0))
@example(**TRUSTED | {"battery": False, "rogue": 3600 * SECOND}, skew=timedelta(0))
@given(
    skew=spans,
    lead=st.none() | spans,
    bound=st.none() | spans,
    battery=st.booleans(),
    ntp=st.booleans(),
    rogue=st.none() | spans,
    full=st.sampled_from([0, 0, 0, 3, 250]),
)
def test_clock_programme_and_journal_come_right(
    skew: timedelta,
    lead: timedelta | None,
    bound: timedelta | None,
    battery: bool,
    ntp: bool,
    rogue: timedelta | None,
    full: int,
) -> None:
    """Whatever the battery, the flash and an NTP that lies say of the time."""
    flash = Flash("journal-d1")
    flash.write(
        Change(
            records=[
                Skipped(
                    seq=seq, occurrence_id=f"old-{seq}", at=START + skew, reason=SkipReason.LATE
                )
                for seq in range(1, full + 1)
            ],
            bound=None if bound is None else START + bound,
            lead_seconds=None if lead is None else lead.total_seconds(),
        )
    )
    server = Server()
    server.config("d1")
    server.programme(item("a", at(240)), item("b", at(300), late_limit_seconds=0))
    box = server.harness.add(device(flash, battery_clock=battery, skew=skew, ntp=ntp))
    if rogue is not None and box.player is not None:
        box.skew = rogue
        server.harness._do(box, box.player.synchronised(server.harness.look(box)))
    server.harness.advance(6 * HOUR)
    expect_right(server, box, ["a", "b"])
    journal = sorted(server.records["d1"].items())
    assert [seq for seq, _ in journal] == list(range(1, len(journal) + 1)), "a gap"
    sounded = {told(record) for _, record in journal if not isinstance(record, Skipped)}
    assert sounded == {
        record for name in "ab" for record in (("started", name), ("ended", name, "completed"))
    }


def test_what_a_fast_clock_has_let_pass_is_still_to_come() -> None:
    """A skip counts when its time has really passed; nothing of the item has sounded."""
    server = Server()
    server.config("d1")
    server.programme(item("a", at(240)), item("b", at(300)))
    flash = Flash("journal-d1")
    flash.write(Change(lead_seconds=0.0))
    box = server.harness.add(
        device(flash, battery_clock=True, skew=timedelta(hours=4, minutes=30), ntp=False)
    )
    server.harness.advance(6 * HOUR)
    records = [told(record) for _, record in sorted(server.records["d1"].items())]
    assert records[0][:2] == ("skipped", "a")
    assert ("started", "a") in records
    expect_right(server, box, ["a", "b"])


def test_a_clock_that_is_weeks_fast_forgets_nothing_that_has_sounded() -> None:
    server = Server()
    server.config("d1")
    server.programme(item("a", at(10), late_limit_seconds=86_400, ends_by=at(600)))
    flash = Flash("journal-d1")
    box = server.harness.add(device(flash))
    server.harness.advance(0.5 * HOUR)
    server.answers_time = False
    box.ntp = False
    box.skew = 60 * DAY
    assert box.player is not None
    server.harness.disconnect(box)
    # The chip that keeps the time is broken, and a reader of it vouches for it.
    box.player._box.clock._measured_at = -1e9
    server.harness._do(box, box.player.synchronised(server.harness.look(box)))
    server.harness.advance(3 * HOUR)
    server.answers_time = True
    server.harness.connect(box)
    server.harness.advance(3 * HOUR)
    assert [sound.occurrence_id for sound in box.sounds] == ["a"]


def test_a_full_journal_is_freed_by_a_clock_that_is_years_fast() -> None:
    server = Server()
    server.config("d1")
    flash = Flash("journal-d1")
    flash.write(
        Change(
            lead_seconds=0.0,
            records=[
                record
                for seq in range(1, JOURNAL_LIMIT, 2)
                for record in (
                    Started(seq=seq, occurrence_id=f"o-{seq}", at=START),
                    Ended(seq=seq + 1, occurrence_id=f"o-{seq}", at=START,
                          reason=EndReason.COMPLETED, played_seconds=1),
                )
            ],
        )
    )  # fmt: skip
    server.answers_time = server.confirms = False
    server.harness.add(device(flash, battery_clock=True, skew=3000 * DAY, ntp=False))
    server.harness.advance(1.0)
    server.command(
        JournalAck, not_after=START + timedelta(hours=1), journal_id="journal-d1", upto_seq=19_000
    )
    server.harness.advance(1.0)
    assert len(flash.load().records) == JOURNAL_LIMIT - 19_000


@pytest.mark.parametrize("kind", [Config, Programme])
def test_what_looks_expired_makes_a_device_ask_the_time(kind: type[Any]) -> None:
    server = Server()
    server.answers_time = False
    server.config("d1")
    server.programme(item("a", at(240)))
    flash = Flash("journal-d1")
    flash.write(Change(lead_seconds=0.0))
    box = server.harness.add(device(flash, battery_clock=True, skew=90 * DAY, ntp=False))
    server.harness.advance(30.0)
    assert box.player is not None
    assert box.player.held == {}
    server.answers_time = True
    server.harness.advance(0.5 * HOUR)
    assert f"{kind.__struct_config__.tag}" in {key.rsplit("/", 1)[1] for key in box.player.held}
