"""The least that a subscriber can be: paho's own loop, QoS 1, every message counted and dropped.

`python -m benchmarks.harness.bare PORT FILTER EVERY` prints the time (monotonic, the same clock in
every process) at each EVERY-th message.
"""

from __future__ import annotations

import sys
import time
from itertools import count
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.harness.helper import Helper


class Bare(Helper):
    """The process, from outside. Entered, it is subscribed."""

    def __init__(self, port: int, topics: str, every: int) -> None:
        super().__init__("bare", port, topics, every)

    def __enter__(self) -> Self:
        super().__enter__()
        self._hear()
        return self

    def counted(self) -> float:
        """Time (monotonic) at which it had counted as many as it was told once more."""
        return float(self._hear())


def _main(port: int, topics: str, every: int) -> None:
    numbers = count(1)

    def take(*_: object) -> None:
        if next(numbers) % every == 0:
            print(time.monotonic(), flush=True)

    client = paho.Client(CallbackAPIVersion.VERSION2, "bench-bare", clean_session=False)
    client.on_connect = lambda *_: client.subscribe(topics, qos=1)
    client.on_subscribe = lambda *_: print("ready", flush=True)
    client.on_message = take
    client.connect("127.0.0.1", port, keepalive=60)
    client.loop_forever()


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
