"""Several languages in one sound, made by the worker and the encoders that the server uses."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import sqlalchemy as sa

from broadcast.bulletins import prepare_worker, sandbox
from broadcast.bulletins.audio.pcm import RATE
from broadcast.bulletins.audio.prepared import content_path
from broadcast.bulletins.audio.renditions import decode_pcm
from broadcast.bulletins.model import Preparation, PreparationState
from broadcast.bulletins.version_model import Mix, MixSound
from broadcast.config import Audio
from broadcast.kit import db
from broadcast.languages import mixing
from tests.bulletins.audio.sources import sine, write
from tests.languages.conftest import World
from tests.waiting import HANG_SECONDS

LOW, HIGH = 500.0, 1500.0
VI, HRE = (1.6, LOW, -32.0), (2.4, HIGH, -12.0)
"""Seconds, hertz and level of what stands for a recording in each language."""
PAUSE = 0.5
MARGINS = 1.1
"""Silence that is left around every sound, at both ends of it."""
FRAME = RATE // 50


async def step(world: World) -> int:
    async with db.transaction(world.engine) as session:
        return await mixing.step(session, world.settings, world.now)


async def prepared(world: World) -> None:
    """Have the worker do what waits; uploads of this test are prepared already."""
    async with db.transaction(world.engine) as session:
        await session.execute(
            sa.update(Preparation)
            .where(Preparation.framing.is_(None))
            .values(state=PreparationState.CANCELLED)
        )
    worker = asyncio.create_task(prepare_worker.run(world.engine, world.settings))
    try:
        async with asyncio.timeout(2 * HANG_SECONDS):
            while True:
                async with db.transaction(world.engine) as session:
                    joined = sa.select(Preparation).where(Preparation.framing.is_not(None))
                    (row,) = await session.scalars(joined)
                    if row.state not in {PreparationState.WAITING, PreparationState.RUNNING}:
                        break
                await asyncio.sleep(0.05)
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker
    assert row.state is PreparationState.DONE, row.detail


def heard(samples: npt.NDArray[np.int16]) -> list[tuple[str, float, float]]:
    """What follows what: its tone, its seconds and its level in decibels."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME) / 32768
    levels = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    spectrum = np.abs(np.fft.rfft(frames, axis=1))
    hertz = spectrum.argmax(axis=1) * RATE / FRAME
    said = [
        "" if level < -50 else "low" if tone < (LOW + HIGH) / 2 else "high"
        for level, tone in zip(levels, hertz, strict=True)
    ]
    found, at = [], 0
    for tone, run in groupby(said):
        count = len(list(run))
        found.append((tone, count * FRAME / RATE, float(np.median(levels[at : at + count]))))
        at += count
    found = [each for each in found if each[1] > 0.1]
    spoken = [number for number, each in enumerate(found) if each[0]]
    return found[spoken[0] : spoken[-1] + 1]


async def test_languages_follow_one_another_in_their_order_and_are_equally_loud(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Audio(chime=False)
    parts = {}
    for said, (seconds, hertz, level) in ((b"vi", VI), (b"hre", HRE)):
        source = write(tmp_path / f"{said.decode()}.wav", sine(seconds, hertz, level))
        parts[said] = await sandbox.prepare_upload(source, world.content_dir, plain)
    monkeypatch.setattr(world, "sound", lambda said, _: parts[said])
    bulletin = await world.bulletin()
    number = await world.record("Lan", bulletin, b"vi")
    await world.take("Lan", bulletin, number, "submit")
    assert (await world.take("Quản", bulletin, number, "approve")).is_success
    version = (await world.asked(bulletin))["version_id"]
    await world.read(version, b"hre")
    assert await step(world) == 0
    await prepared(world)
    assert await step(world) == 1
    async with db.transaction(world.engine) as session:
        (mix,) = await session.scalars(sa.select(Mix))
        sounds = list(await session.scalars(sa.select(MixSound)))
    assert (mix.languages, mix.is_current) == (["hre", "vi"], True)
    assert sorted(each.codec for each in sounds) == ["mp3", "opus"]
    whole = parts[b"hre"].seconds + PAUSE + parts[b"vi"].seconds
    for each in sounds:
        samples = decode_pcm(content_path(world.content_dir, each.sha256))
        assert len(samples) / RATE == pytest.approx(each.seconds, abs=0.1)
        assert 0 <= each.seconds - whole < MARGINS
        first, pause, second = heard(samples)
        assert [first[0], pause[0], second[0]] == ["high", "", "low"]
        assert first[1] == pytest.approx(HRE[0], abs=0.15)
        assert PAUSE <= pause[1] < PAUSE + MARGINS
        assert second[1] == pytest.approx(VI[0], abs=0.15)
        assert abs(first[2] - second[2]) < 6, "20 decibels apart as they were recorded"
