"""The least that a subscriber can be: paho's own loop, QoS 1, every message counted and dropped.

`python -m benchmarks.harness.bare PORT FILTER EVERY` prints the time (monotonic, the same clock in
every process) at each EVERY-th message.
"""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import count
from types import TracebackType

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.harness.publisher import ROOT


class Bare:
    """The process, from outside; a context manager. Entered, it is subscribed."""

    def __init__(self, port: int, topics: str, every: int) -> None:
        self._arguments = [str(port), topics, str(every)]

    def __enter__(self) -> Bare:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.harness.bare", *self._arguments],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._hear()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def counted(self) -> float:
        """Time (monotonic) at which it had counted as many as it was told once more."""
        return float(self._hear())

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ConnectionError("the bare subscriber has died; its last words are above")
        return line


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
