"""Sound of stored files, and the recordings of what sounded."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream

from device_sim.sound import Sounds, Undecodable, append_wav, decode
from device_sim.store import Store


def encoded(seconds: float, codec: str = "libopus", container: str = "ogg") -> bytes:
    """A tone that rises, so that every place in it sounds different."""
    out = io.BytesIO()
    count = int(48_000 * seconds)
    phase = np.cumsum(np.linspace(200, 2000, count)) / 48_000
    samples = (8000 * np.sin(2 * np.pi * phase)).astype(np.int16)[None]
    with av.open(out, "w", format=container) as file:
        stream: AudioStream = file.add_stream(codec, rate=48_000)  # type: ignore[assignment]
        stream.layout = "mono"
        stream.bit_rate = 32_000
        whole = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        whole.sample_rate = 48_000
        pieces = av.AudioResampler(
            format=stream.format.name, layout="mono", rate=48_000, frame_size=stream.frame_size
        )
        for frame in [*pieces.resample(whole), *pieces.resample(None)]:
            for packet in stream.encode(frame):
                file.mux(packet)
        for packet in stream.encode(None):
            file.mux(packet)
    return out.getvalue()


@pytest.mark.parametrize(("codec", "container"), [("libopus", "ogg"), ("libmp3lame", "mp3")])
def test_both_codecs_of_the_contract_are_decoded(codec: str, container: str) -> None:
    decoded = decode(encoded(2.0, codec, container))
    assert decoded.seconds == pytest.approx(2.0, abs=0.06)
    assert 4000 < np.abs(decoded.samples).max() < 12_000


@pytest.mark.parametrize("content", [b"", b"no audio at all", bytes(50_000)])
def test_what_holds_no_sound_cannot_be_decoded(content: bytes) -> None:
    with pytest.raises(Undecodable):
        decode(content)


def test_a_file_is_decoded_once_and_its_samples_are_bounded() -> None:
    content = {name: encoded(1.0 + n / 10) for n, name in enumerate("abc")}
    sounds = Sounds(keep_bytes=250_000)
    for _ in range(2):
        assert all(sounds.check(name, content[name]) for name in "abc")
    assert sounds.decoded_count == 3
    assert sounds.get("c", content["c"]) is sounds.get("c", content["c"])
    assert sounds.decoded_count == 3
    sounds.get("a", content["a"])
    assert sounds.decoded_count == 4


def test_a_broken_file_is_known_as_broken() -> None:
    sounds = Sounds()
    assert not sounds.check("x", b"nonsense")
    assert sounds.is_broken("x")
    assert not sounds.is_broken("unknown")


def test_a_recording_holds_the_samples_that_sounded_and_no_silence(tmp_path: Path) -> None:
    decoded = decode(encoded(2.0))
    path = tmp_path / "device" / "o.wav"
    append_wav(path, decoded, 0.0, 0.7503)
    append_wav(path, decoded, 0.7503, 1.2)
    append_wav(path, decoded, 1.5, 99.0)
    with wave.open(str(path), "rb") as recording:
        found = np.frombuffer(recording.readframes(recording.getnframes()), np.int16)
        assert recording.getframerate() == decoded.rate
    expected = np.concatenate(
        [decoded.between(0, 1.2), decoded.samples[round(1.5 * decoded.rate) :]]
    )
    assert np.array_equal(found, expected)


# The store behind it ----------------------------------------------------------------------------


def test_equal_blocks_of_many_devices_are_one() -> None:
    store = Store()
    first, second = b"x" * 1000, bytes(bytearray(b"x" * 1000))
    assert store.share("content/aa/0", first) is first
    assert store.share("content/aa/0", second) is first
    store.keep("aa", (first,))
    assert store.share("content/aa/0", bytes(bytearray(second))) is first


def test_a_corrupt_block_stays_its_devices_own() -> None:
    store = Store()
    good, bad = b"x" * 1000, b"y" * 1000
    store.share("content/aa/0", good)
    assert store.share("content/aa/0", bad) is bad
    assert store.share("content/aa/0", bytes(bytearray(good))) is good


def test_blocks_on_their_way_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device_sim.store.PASSING_BYTES", 2500)
    store = Store()
    blocks = [bytes([n]) * 1000 for n in range(4)]
    for index, block in enumerate(blocks):
        store.share(f"content/aa/{index}", block)
    late = bytes(bytearray(blocks[0]))
    assert store.share("content/aa/0", late) is late
    assert store.share("content/aa/3", bytes(bytearray(blocks[3]))) is blocks[3]


def test_a_file_goes_with_the_last_device_that_holds_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.keep("aa", (b"1", b"2"))
    assert not store.keep("aa", (b"1", b"2"))
    store.drop("aa")
    assert store.read("aa") == b"12"
    store.drop("aa")
    assert store.read("aa") == b""
    assert not list(tmp_path.iterdir())


def test_a_kept_file_is_found_by_the_next_process_when_it_is_whole(tmp_path: Path) -> None:
    Store(tmp_path).keep("aa", (b"1", b"2"))
    store = Store(tmp_path)
    assert not store.recover("aa", 3)
    assert store.recover("aa", 2)
    assert store.read("aa") == b"12"
    assert not store.recover("bb", 2)
