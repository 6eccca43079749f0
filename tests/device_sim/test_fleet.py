"""Fleets over a real broker: real connections, real content, real sound."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import wave
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from broadcast.config import Mqtt
from broadcast.mqtt.link import Link
from broadcast.wire.codec import decode_event
from broadcast.wire.commands import JournalAck, TimeReply
from broadcast.wire.documents import Alert, Alerts, Audio, Config, Item, Programme
from broadcast.wire.events import Boot, Gone, Playback, Readiness, Refusal, TimeRequest
from broadcast.wire.fields import Codec, Wire
from broadcast.wire.topics import BLOCK_BYTES, block_count, scope_topic
from device_sim.commons import Commons
from device_sim.faults import NONE, Faults, Profile
from device_sim.fleet import Enrolled, Fleet
from device_sim.link import Access
from device_sim.player import reconnect_seconds
from device_sim.sound import decode
from tests.device_sim.province import ALERT_KEY, KEYS, PROGRAMME_KEY, told
from tests.device_sim.test_sound import encoded
from tests.mqtt.links import connected
from tests.waiting import HANG_SECONDS

NAMES = [f"q{n}" for n in range(400) if reconnect_seconds(f"q{n}", 1) < 0.5]
"""Devices whose hashed wait before connecting is short, for tests that cannot wait."""


class Server:
    """The other side of the broker."""

    def __init__(self, link: Link, prefix: str) -> None:
        self.heard: list[tuple[str, Wire]] = []
        self.journal: dict[str, list[tuple[str, ...]]] = {}
        self._seqs: dict[str, int] = {}
        self._link = link
        self._prefix = prefix
        self._numbers = count(1)
        self._changed = asyncio.Event()

    async def listen(self) -> None:
        while True:
            for message in await self._link.receive():
                _, device_id, _, kind = message.topic.removeprefix(f"{self._prefix}/").split("/")
                event = decode_event(kind, message.payload)
                message.ack()
                self.heard.append((device_id, event))
                await self._answer(device_id, event)
            self._changed.set()

    async def _answer(self, device_id: str, event: Wire) -> None:
        fields: dict[str, Any] = {
            "command_id": f"c{next(self._numbers)}",
            "scope": f"device/{device_id}",
            "not_after": datetime.now(UTC) + timedelta(minutes=1),
        }
        match event:
            case Playback(journal_id=journal_id, records=records):
                for record in records:
                    if record.seq > self._seqs.get(device_id, 0):
                        self._seqs[device_id] = record.seq
                        self.journal.setdefault(device_id, []).append(told(record))
                ack = JournalAck(**fields, journal_id=journal_id, upto_seq=records[-1].seq)
                await self._command(device_id, "journal_ack", PROGRAMME_KEY.sign(ack))
            case TimeRequest(token=token):
                reply = TimeReply(**fields, token=token, server_at=datetime.now(UTC))
                await self._command(device_id, "time_reply", PROGRAMME_KEY.sign(reply))

    async def _command(self, device_id: str, kind: str, token: bytes) -> None:
        await self._link.publish(f"{self._prefix}/device/{device_id}/command/{kind}", token)

    async def publish(self, kind: type[Any], scope: str, **fields: Any) -> None:
        now = datetime.now(UTC)
        base = {"scope": scope, "revision": next(self._numbers), "issued_at": now}
        document = kind(**base, not_after=now + timedelta(days=7), **fields)
        token = (ALERT_KEY if kind is Alerts else PROGRAMME_KEY).sign(document)
        topic = scope_topic(scope, kind.__struct_config__.tag)
        await self._link.publish(f"{self._prefix}/{topic}", token, retain=True)

    async def content(self, content: bytes, seconds: float) -> Audio:
        digest = sha256(content).hexdigest()
        for index in range(block_count(len(content))):
            block = content[index * BLOCK_BYTES : (index + 1) * BLOCK_BYTES]
            await self._link.publish(
                f"{self._prefix}/content/{digest}/{index}", block, retain=True
            )
        return Audio(sha256=digest, bytes=len(content), seconds=seconds, codec=Codec.OPUS)

    async def until(self, fact: Callable[[], Any], seconds: float = HANG_SECONDS) -> None:
        async with asyncio.timeout(seconds):
            while not fact():
                self._changed.clear()
                await self._changed.wait()

    def of(self, kind: type[Any], device_id: str) -> list[Any]:
        """What a device said, each message once though it may come again (QoS 1)."""
        said: list[Any] = []
        for sender, event in self.heard:
            if sender == device_id and isinstance(event, kind) and event not in said:
                said.append(event)
        return said

    def boots(self, device_id: str) -> dict[int, Boot]:
        """Each session that a device has begun."""
        return {boot.session: boot for boot in self.of(Boot, device_id)}


@pytest.fixture
async def server(mqtt: Mqtt) -> Any:
    subscription = (f"{mqtt.prefix}/device/+/event/+", 1)
    async with Link(mqtt, subscriptions=[subscription]) as link:
        await connected(link)
        server = Server(link, mqtt.prefix)
        listening = asyncio.create_task(server.listen())
        yield server
        assert not listening.done(), listening.exception()
        listening.cancel()


class Running:
    """A fleet that runs beside the test."""

    def __init__(self, mqtt: Mqtt, folder: Path, names: list[str], **options: Any) -> None:
        self.recordings = folder / "recordings"
        self._truth = folder / "truth.jsonl"
        self._writing = self._truth.open("w", buffering=1)
        self.commons = Commons(
            Access((mqtt.host, mqtt.port), mqtt.prefix),
            options.pop("faults", Faults(NONE)),
            recordings=self.recordings,
            truth=self._writing,
            **options,
        )
        self.fleet = Fleet(self.commons)
        for name in names:
            self.fleet.add(KEYS, Enrolled(device_id=name), recorded=True)
        self._stop = asyncio.Event()

    async def __aenter__(self) -> Running:
        self._task = asyncio.create_task(self.fleet.run(self._stop))
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._stop.is_set():
            await self.stop()

    async def stop(self) -> dict[str, Any]:
        self._stop.set()
        await self._task
        summary = self.fleet.shut_down()
        self._writing.close()
        return summary

    def unit(self, name: str) -> Any:
        return next(u for u in self.fleet.units if u.identity.device_id == name)

    def facts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._truth.read_text().splitlines()]

    def samples(self, name: str, occurrence_id: str) -> Any:
        path = self.recordings / name / f"{occurrence_id}.wav"
        with wave.open(str(path), "rb") as recording:
            return np.frombuffer(recording.readframes(recording.getnframes()), np.int16)


def item(occurrence_id: str, starts_at: datetime, audio: Audio, **changes: Any) -> Item:
    fields: dict[str, Any] = {"late_limit_seconds": 60, "priority": 50}
    return Item(
        occurrence_id=occurrence_id,
        bulletin_id="b",
        bulletin_revision=1,
        starts_at=starts_at,
        ends_by=starts_at + timedelta(minutes=5),
        audio=[audio],
        **(fields | changes),
    )


async def test_a_fleet_fetches_plays_and_proves_what_it_was_sent(
    mqtt: Mqtt, server: Server, tmp_path: Path
) -> None:
    names = NAMES[:4]
    content = encoded(2.5)
    async with Running(mqtt, tmp_path, names) as running:
        for name in names:
            await server.publish(Config, f"device/{name}", areas=["51"], keys=list(KEYS))
        audio = await server.content(content, 2.5)
        # The facts are dated to the millisecond.
        starts_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
        await server.publish(Programme, "area/51", items=[item("o1", starts_at, audio)])
        played = [("started", "o1"), ("ended", "o1", "completed")]
        await server.until(lambda: all(server.journal.get(name) == played for name in names))
        summary = await running.stop()
    ready = [e.items[0].state for name in names for e in server.of(Readiness, name)]
    assert ready.count("ready") == len(names)
    whole = decode(content).samples
    for name in names:
        heard = running.samples(name, "o1")
        assert np.array_equal(heard, whole[: len(heard)])
        assert len(heard) >= 2.5 * 48_000 - 100
    assert summary["devices"] == summary["connected"] == summary["started"] == len(names)
    assert summary["decoded"] == 1
    assert not server.of(Gone, names[0])
    starts = [f for f in running.facts() if f["event"] == "started"]
    late = [datetime.fromisoformat(f["at"]) - starts_at for f in starts]
    assert timedelta(0) <= min(late) <= max(late) < timedelta(seconds=1)


async def test_an_alert_interrupts_without_a_lost_or_repeated_sample_and_power_cuts_repeat_none(
    mqtt: Mqtt, server: Server, tmp_path: Path
) -> None:
    interrupted, cut = NAMES[:2]
    long, siren = encoded(9), encoded(1)
    async with Running(mqtt, tmp_path, [interrupted, cut]) as running:
        for name in (interrupted, cut):
            await server.publish(Config, f"device/{name}", areas=["51"], keys=list(KEYS))
        audio, alarm = await server.content(long, 9), await server.content(siren, 1)
        starts_at = datetime.now(UTC) + timedelta(seconds=2)
        await server.publish(Programme, "area/51", items=[item("o1", starts_at, audio)])
        await server.until(lambda: all(server.journal.get(n) for n in (interrupted, cut)))
        running.unit(cut).power_off(0.2)
        now = datetime.now(UTC)
        raised = Alert(
            alert_id="x", starts_at=now, ends_by=now + timedelta(minutes=1), audio=[alarm]
        )
        await server.publish(Alerts, f"device/{interrupted}", alerts=[raised])
        ended = ("ended", "o1", "completed")
        await server.until(lambda: all(ended in server.journal[n] for n in (interrupted, cut)))
        await running.stop()
    assert [event for event, name, *_ in server.journal[interrupted] if name == "x"]
    assert ("ended", "o1", "preempted") in server.journal[interrupted]
    whole = decode(long).samples
    heard = running.samples(interrupted, "o1")
    assert abs(len(heard) - 9 * 48_000) <= 1
    assert np.array_equal(heard, whole[: len(heard)])

    assert ("ended", "o1", "power_cut") in server.journal[cut]
    assert server.of(Gone, cut)
    told_truth = [f for f in running.facts() if f["device_id"] == cut]
    (first, second) = [f for f in told_truth if f["event"] == "started"]
    before = next(f for f in told_truth if f["event"] == "ended")["seconds"]
    assert first["offset"] == 0
    assert second["offset"] >= before
    heard, before = running.samples(cut, "o1"), round(before * 48_000)
    # The truth file says milliseconds, the recording samples.
    assert np.array_equal(heard[: before - 48], whole[: before - 48])
    rest = len(heard) - before - 48
    assert np.array_equal(heard[-rest:], whole[9 * 48_000 - rest : 9 * 48_000])


async def test_undecodable_audio_ends_as_such(mqtt: Mqtt, server: Server, tmp_path: Path) -> None:
    (name,) = NAMES[:1]
    async with Running(mqtt, tmp_path, [name]):
        await server.publish(Config, f"device/{name}", areas=["51"], keys=list(KEYS))
        audio = await server.content(b"not a sound " * 3000, 5)
        starts_at = datetime.now(UTC) + timedelta(seconds=1.5)
        await server.publish(Programme, "area/51", items=[item("o1", starts_at, audio)])
        expected = [("started", "o1"), ("ended", "o1", "decode_error")]
        await server.until(lambda: server.journal.get(name) == expected)


async def test_messages_that_come_late_and_twice_in_both_directions_change_nothing(
    mqtt: Mqtt, server: Server, tmp_path: Path
) -> None:
    names = NAMES[:3]
    disorder = Profile(delayed_ratio=0.5, delayed_seconds=1.5, repeated_ratio=0.3)
    async with Running(mqtt, tmp_path, names, faults=Faults(disorder, 1)) as running:
        for name in names:
            await server.publish(Config, f"device/{name}", areas=["51"], keys=list(KEYS))
        audio = await server.content(encoded(1), 1)
        starts_at = datetime.now(UTC) + timedelta(seconds=8)
        for revision in range(5):
            items = [item("o1", starts_at, audio), item(f"gone{revision}", starts_at, audio)]
            await server.publish(Programme, "area/51", items=items)
        await server.publish(Programme, "area/51", items=[item("o1", starts_at, audio)])
        played = [("started", "o1"), ("ended", "o1", "completed")]
        await server.until(lambda: all(server.journal.get(name) == played for name in names))
        await running.stop()
    facts = running.facts()
    refusals = [refusal for name in names for refusal in server.of(Refusal, name)]
    assert {refusal.reason for refusal in refusals} <= {"revision"}
    written = [(f["device_id"], f["seq"], f["kind"]) for f in facts if f["event"] == "journalled"]
    assert sorted(written) == sorted(
        (name, seq, kind) for name in names for seq, kind in ((1, "started"), (2, "ended"))
    )
    assert {f["device_id"] for f in facts if f["event"] == "sent"} == set(names)


async def test_a_device_that_lost_its_link_comes_back_with_a_higher_session(
    mqtt: Mqtt, server: Server, tmp_path: Path
) -> None:
    name = NAMES[0]
    async with Running(mqtt, tmp_path, [name], ntp=False) as running:
        await server.until(lambda: server.boots(name))
        (first,) = server.boots(name)
        running.unit(name)._go_offline(0.1)
        await server.until(lambda: first + 1 in server.boots(name))
        assert server.boots(name)[first + 1].reason == "reconnect"
        await server.until(lambda: first in {gone.session for gone in server.of(Gone, name)})
        await server.until(lambda: running.unit(name).player.trusted or None)


async def run_program(mqtt: Mqtt, folder: Path, *options: str) -> asyncio.subprocess.Process:
    enrolment = {
        "keys": [{"kid": k.kid, "use": k.use, "x": k.x} for k in KEYS],
        "devices": [{"device_id": name} for name in NAMES[:2]],
    }
    file = folder / "enrolment.json"
    file.write_text(json.dumps(enrolment))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "device_sim", "--port", str(mqtt.port)),
        *("--devices-file", str(file), "--keep", str(folder / "keep"), *options),
        stdout=asyncio.subprocess.PIPE,
    )


async def test_the_program_ends_cleanly_on_sigterm_and_goes_on_from_what_it_kept(
    mqtt: Mqtt, server: Server, tmp_path: Path
) -> None:
    name = NAMES[0]
    await server.publish(Config, f"device/{name}", areas=["51"], keys=list(KEYS))
    audio = await server.content(encoded(1), 1)
    starts_at = datetime.now(UTC) + timedelta(hours=1)
    await server.publish(Programme, "area/51", items=[item("o1", starts_at, audio)])
    first = await run_program(mqtt, tmp_path)
    await server.until(
        lambda: any(e.items[0].state == "ready" for e in server.of(Readiness, name))
    )
    first.send_signal(signal.SIGTERM)
    out, _ = await asyncio.wait_for(first.communicate(), 60)
    assert first.returncode == 0
    summary = json.loads(out.splitlines()[-1])
    assert summary["devices"] == 2
    assert summary["documents_refused"] == 0
    assert not server.of(Gone, name)
    (boot,) = server.boots(name).values()

    second = await run_program(mqtt, tmp_path, "--seconds", "2")
    await asyncio.wait_for(second.communicate(), 60)
    again = max(server.boots(name).values(), key=lambda each: each.session)
    assert again.session > boot.session
    assert again.journal_id == boot.journal_id
    assert set(again.held) == {f"device/{name}/config", "area/51/programme"}


async def test_an_enrolment_that_cannot_be_read_is_said_so(mqtt: Mqtt, tmp_path: Path) -> None:
    file = tmp_path / "enrolment.json"
    file.write_text('{"keys": 3}')
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "device_sim", "--port", str(mqtt.port)),
        *("--devices-file", str(file)),
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await program.communicate()
    assert program.returncode == 1
    assert b"$.keys" in err
