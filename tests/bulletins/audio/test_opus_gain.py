"""The gain in an Ogg Opus header: decoders obey it, and the page that says it stays whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcast.bulletins.audio import opus_gain
from broadcast.bulletins.audio.mastering import measure
from tests.bulletins.audio.sources import noise, sine, write


def pages(content: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        lacing = content[at + 27 : at + 27 + content[at + 26]]
        size = 27 + len(lacing) + sum(lacing)
        yield content[at : at + size]
        at += size


@pytest.mark.parametrize("decibels", [0.001, 0.3, 1.7])
def test_what_is_turned_down_is_decoded_softer(tmp_path: Path, decibels: float) -> None:
    path = write(tmp_path / "a.ogg", noise(4), codec="libopus")
    before, rest = measure(path), list(pages(path.read_bytes()))[1:]
    taken = opus_gain.turn_down(path, decibels)
    after = measure(path)
    assert decibels <= taken < decibels + 1 / 256
    assert after.loudness_lufs == pytest.approx(before.loudness_lufs - taken, abs=0.002)
    assert after.true_peak_dbtp == pytest.approx(before.true_peak_dbtp - taken, abs=0.002)
    assert after.seconds == before.seconds
    assert list(pages(path.read_bytes()))[1:] == rest


def test_every_page_has_the_checksum_that_libav_gives_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ogg", noise(4), codec="libopus")
    opus_gain.turn_down(path, 0.5)
    for page in pages(path.read_bytes()):
        assert int.from_bytes(page[22:26], "little") == opus_gain.checksum(page)


def test_what_is_no_opus_is_not_written_to(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", sine(1), codec="libmp3lame")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="no Ogg Opus"):
        opus_gain.turn_down(path, 0.5)
    assert path.read_bytes() == before
