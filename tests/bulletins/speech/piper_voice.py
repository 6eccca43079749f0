"""A Piper voice small enough to write by hand: every phoneme is a short tone, its id the loudness.

It has the inputs and the output of a real one (`input`, `input_lengths`, `scales` → `output`), so
that onnxruntime and Piper do all that they do with a voice of 60 MB. Encoded as ONNX prescribes
(onnx.proto3), because the package `onnx` is no dependency of anything here.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

FLOAT, INT64 = 1, 7
HOP = 1200
RATE = 22_050
LETTERS = "_^$ ,.?!abcdeghiklmnopqrstuvxyđ\u0300\u0301\u0302\u0303\u0306\u0309\u031b\u0323"


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def node(kind: str, takes: list[str], gives: str, *attributes: bytes) -> bytes:
    body = b"".join(field(1, name) for name in takes) + field(2, gives) + field(4, kind)
    return field(1, body + b"".join(field(5, attribute) for attribute in attributes))


def integer(name: str, value: int) -> bytes:
    return field(1, name) + field(3, value) + field(20, 2)


def integers(name: str, values: list[int]) -> bytes:
    return field(1, name) + b"".join(field(8, value) for value in values) + field(20, 7)


def tensor(name: str, kind: int, values: bytes, length: int) -> bytes:
    return field(5, field(1, length) + field(2, kind) + field(8, name) + field(9, values))


def port(number: int, name: str, kind: int, *shape: str) -> bytes:
    dimensions = b"".join(field(1, field(2, each)) for each in shape)
    described = field(1, field(1, kind) + field(2, dimensions))
    return field(number, field(1, name) + field(2, described))


def write(path: Path) -> Path:
    """Write the voice and the description beside it."""
    tone = np.sin(2 * np.pi * 600 * np.arange(HOP) / RATE) * np.hanning(HOP) / len(LETTERS)
    graph = (
        node("Cast", ["input"], "loudness", integer("to", FLOAT))
        + node("Unsqueeze", ["loudness"], "column", integers("axes", [2]))
        + node("Mul", ["column", "tone"], "tones")
        + node("Reshape", ["tones", "flat"], "output")
        + field(2, "voice")
        + tensor("tone", FLOAT, tone.astype("<f4").tobytes(), HOP)
        + tensor("flat", INT64, struct.pack("<4q", 1, 1, 1, -1), 4)
        + port(11, "input", INT64, "batch", "phonemes")
        + port(11, "input_lengths", INT64, "batch")
        + port(11, "scales", FLOAT, "three")
        + port(12, "output", FLOAT, "batch", "one", "channel", "time")
    )
    path.write_bytes(field(1, 6) + field(8, field(2, 11)) + field(7, graph))
    described = {
        "audio": {"sample_rate": RATE},
        "espeak": {"voice": "vi"},
        "phoneme_type": "text",
        "num_symbols": len(LETTERS),
        "num_speakers": 1,
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_id_map": {letter: [number] for number, letter in enumerate(LETTERS)},
    }
    Path(f"{path}.json").write_text(json.dumps(described), encoding="utf-8")
    return path
