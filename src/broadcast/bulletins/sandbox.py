"""Preparation of bulletins in a child process that may crash, hang or swell without harm.

Whatever decodes untrusted bytes or reads text aloud runs as the module itself: a job comes as
JSON on standard input; progress and at last an outcome go as lines of JSON to standard output. The
child has limits on CPU time, memory and file size, writes no core, sees none of the server's
environment, and is killed with everything it started when its time is up, the caller goes away or
the server dies.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import structlog
from prometheus_client import Counter, Histogram
from pydantic import BaseModel

from broadcast import config
from broadcast.bulletins import scratch
from broadcast.bulletins.audio.pcm import RATE
from broadcast.bulletins.audio.prepared import Framing, Prepared, Trim
from broadcast.kit import child
from broadcast.kit.errors import (
    CONTENT_DISK_FULL,
    DISK_FULL,
    BroadcastError,
    DiskFull,
    InvalidInput,
    Unavailable,
    because,
)

if __name__ == "__main__":  # before the limits; the server starts without decoder and voice
    from broadcast.bulletins.audio import framing, renditions
    from broadcast.bulletins.speech import synthesis

log = structlog.get_logger()

PREPARATIONS = Counter("broadcast_audio_preparations", "Bulletins prepared", ["outcome"])
SECONDS = Histogram(
    "broadcast_audio_preparation_seconds",
    "From the start of the work to its outcome",
    buckets=(1, 3, 10, 30, 100, 300, 1000),
)

SPEECH_SHARE = 0.4
"""Part of the work that reading aloud is, for progress."""

Field = Literal["file", "text"]


class _Job(BaseModel):
    """Task of the child: prepare the source, or read the text aloud and prepare that."""

    source: Path | None = None
    trim: Trim = Trim()
    text: str = ""
    framing: Framing | None = None
    content_dir: Path
    scratch: Path
    settings: config.Audio
    niceness: int = child.NICENESS


class _Refusal(BaseModel):
    """An error in words for the author."""

    is_input: bool
    is_disk_full: bool = False
    detail: str
    extra: dict[str, str | int | float | None] = {}


class _Outcome(BaseModel):
    percent: int = 0
    prepared: Prepared | None = None
    refusal: _Refusal | None = None


class Child:
    """One preparation at work in a child process.

    Attributes:
        percent: How far it is.
        urgent: Whether it works with the priority of the server itself.
    """

    def __init__(self, *, urgent: bool = False) -> None:
        self.percent = 0
        self.urgent = urgent
        self._process: asyncio.subprocess.Process | None = None
        self._timeout: asyncio.Timeout | None = None
        self._left_seconds: float | None = None
        self._is_ready = False

    async def prepare_upload(
        self,
        source: Path,
        content_dir: Path,
        settings: config.Audio,
        trim: Trim | None = None,
        framing: Framing | None = None,
    ) -> Prepared:
        """Prepare an uploaded recording, or a part of it; see `audio.prepare`.

        Raises:
            InvalidInput: The field `file` cannot be used, and why.
            Unavailable: There is no room on the disk.
            BroadcastError: The preparation failed for no fault of the file.
        """
        return await self._prepare("file", source, trim, "", framing, content_dir, settings)

    async def prepare_text(
        self,
        text: str,
        content_dir: Path,
        settings: config.Audio,
        framing: Framing | None = None,
    ) -> Prepared:
        """Read a text aloud and prepare the recording; `text` is the script of `speech.script`.

        It may be empty where `framing` names the sound that it is put around.

        Raises:
            InvalidInput: The field `text` cannot be used, and why.
            Unavailable: There is no room on the disk, or the configured voice is not there.
            BroadcastError: The preparation failed for no fault of the text.
        """
        return await self._prepare("text", None, None, text, framing, content_dir, settings)

    def pause(self) -> None:
        """Have it stand still; its time does not run meanwhile."""
        if self._left_seconds is not None:
            return
        self._left_seconds = 0.0
        if self._timeout is not None and (ends := self._timeout.when()) is not None:
            self._left_seconds = ends - asyncio.get_running_loop().time()
            self._timeout.reschedule(None)
        if self._is_ready:
            self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        if self._left_seconds is None:
            return
        if self._timeout is not None:
            now = asyncio.get_running_loop().time()
            self._timeout.reschedule(now + self._left_seconds)
        self._left_seconds = None
        self._signal(signal.SIGCONT)

    def hurry(self) -> None:
        """Give it the priority of the server itself, as far as the system permits."""
        self.urgent = True
        if self._process is not None:
            with suppress(OSError):
                os.setpriority(os.PRIO_PGRP, self._process.pid, 0)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def _prepare(
        self, field: Field, source: Path | None, trim: Trim | None, text: str,
        framing: Framing | None, content_dir: Path, settings: config.Audio,
    ) -> Prepared:  # fmt: skip
        began = time.monotonic()
        outcome = "failed"
        work = scratch.folder(content_dir)
        folder = await asyncio.to_thread(work.__enter__)
        try:
            job = _Job(
                source=source,
                trim=trim or Trim(),
                text=text,
                framing=framing,
                content_dir=content_dir,
                scratch=folder,
                settings=settings,
                niceness=0 if self.urgent else child.NICENESS,
            )
            prepared = await self._run(field, job)
            outcome = "prepared"
        except InvalidInput:
            outcome = "refused"
            raise
        finally:
            await asyncio.to_thread(work.__exit__, None, None, None)
            took = time.monotonic() - began
            PREPARATIONS.labels(outcome).inc()
            SECONDS.observe(took)
            log.info("bulletins.audio.prepared", field=field, outcome=outcome, took=round(took, 2))
        return prepared

    async def _run(self, field: Field, job: _Job) -> Prepared:
        environment = {"TMPDIR": str(job.scratch)}
        process = self._process = await child.start(
            "broadcast.bulletins.sandbox", environment=environment
        )
        try:
            async with asyncio.timeout(2 * job.settings.work_seconds) as self._timeout:
                if self._left_seconds is not None:  # paused before it began
                    self._left_seconds = None
                    self.pause()
                outcome, stderr = await self._converse(process, job.model_dump_json().encode())
        except TimeoutError:
            raise InvalidInput(field, _TOO_HEAVY) from None
        finally:
            if process.returncode is None:
                self._signal(signal.SIGKILL)
                await process.wait()
        return _judge(field, process.returncode or 0, outcome, stderr)

    async def _converse(
        self, process: asyncio.subprocess.Process, job: bytes
    ) -> tuple[_Outcome, bytes]:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        complaints = asyncio.create_task(process.stderr.read())
        with suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(job)
            process.stdin.close()
        outcome = _Outcome()
        try:
            async for line in process.stdout:
                outcome = _Outcome.model_validate_json(line)
                self.percent = outcome.percent
                if not self._is_ready:
                    # Not before it has made sure that it dies with us.
                    self._is_ready = True
                    if self._left_seconds is not None:
                        self._signal(signal.SIGSTOP)
            await process.wait()
            return outcome, await complaints
        finally:
            complaints.cancel()


async def prepare_upload(source: Path, content_dir: Path, settings: config.Audio) -> Prepared:
    """`Child.prepare_upload` of a child of its own."""
    return await Child().prepare_upload(source, content_dir, settings)


async def prepare_text(text: str, content_dir: Path, settings: config.Audio) -> Prepared:
    """`Child.prepare_text` of a child of its own."""
    return await Child().prepare_text(text, content_dir, settings)


def _judge(field: Field, returncode: int, outcome: _Outcome, stderr: bytes) -> Prepared:
    """Return the result, or raise the error that the end of the child means."""
    if returncode in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise InvalidInput(field, _TOO_HEAVY)
    if returncode < 0:
        raise InvalidInput(field, _CRASHED)
    if returncode != 0:
        log.error(
            "bulletins.audio.failed",
            field=field,
            returncode=returncode,
            stderr=stderr[-2000:].decode(errors="replace"),
        )
        raise BroadcastError(
            "Không chuẩn bị được âm thanh do lỗi của máy chủ, đã ghi nhật ký. Hãy báo quản trị."
        )
    if outcome.refusal:
        refused = outcome.refusal
        if refused.is_disk_full:
            raise DiskFull(refused.detail)
        raise (
            InvalidInput(field, refused.detail, **refused.extra)
            if refused.is_input
            else Unavailable(refused.detail, **refused.extra)
        )
    if outcome.prepared is None:
        raise BroadcastError("Bộ chuẩn bị âm thanh không trả lời.")
    return outcome.prepared


_TOO_HEAVY = "Xử lý quá lâu hoặc quá nặng. Hãy xuất lại thành MP3 hoặc WAV, hoặc chia nhỏ bản tin."
_CRASHED = "Nội dung này làm hỏng bộ giải mã. Hãy xuất lại thành MP3 hoặc WAV rồi gửi lại."


# The child.


def _main() -> None:
    child.die_with_parent()
    # The outcome keeps the real standard output; libraries that print write to standard error.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    job = _Job.model_validate_json(sys.stdin.buffer.read())
    child.limit(
        cpu_seconds=job.settings.work_seconds,
        memory_bytes=job.settings.work_bytes,
        file_bytes=job.settings.longest_seconds * RATE * 4 + 64 * 2**20,
        niceness=job.niceness,
    )

    def report(share: float) -> None:
        answer.write(_Outcome(percent=int(99 * share)).model_dump_json(exclude_none=True) + "\n")

    report(0.0)
    answer.write(_work(job, report).model_dump_json() + "\n")
    answer.close()


def _say(
    job: _Job, script: str, target: Path, report: Callable[[float], None] = lambda _: None
) -> None:
    synthesis.speak(script, target, piper_voice=job.settings.piper_voice, report=report)


def _work(job: _Job, report: Callable[[float], None]) -> _Outcome:
    try:
        source, spoken = job.source, 0.0
        if job.text:
            source, spoken = job.scratch / "speech.wav", SPEECH_SHARE
            _say(job, job.text, source, lambda share: report(spoken * share))
        if job.framing is not None:
            words, source = source, job.scratch / "alert.wav"
            framing.frame(
                words,
                source,
                job.framing,
                job.content_dir,
                lambda *said: _say(job, *said),
                job.trim,
            )
        assert source is not None
        return _Outcome(
            percent=100,
            prepared=renditions.prepare(
                source,
                job.content_dir,
                job.settings,
                trim=job.trim if job.framing is None else Trim(),
                scratch=job.scratch,
                report=lambda share: report(spoken + (1 - spoken) * share),
            ),
        )
    except (InvalidInput, Unavailable) as error:
        field = str(error.extra.pop("field", ""))
        refusal = {
            "is_input": isinstance(error, InvalidInput),
            "detail": error.detail.removeprefix(f"{field}: "),
            "extra": error.extra,
        }
        return _Outcome(refusal=_Refusal.model_validate(refusal))
    except (MemoryError, OSError) as error:
        if isinstance(error, MemoryError) or error.errno == errno.ENOMEM:
            return _Outcome(refusal=_Refusal(is_input=True, detail=_TOO_HEAVY))
        if error.errno in DISK_FULL:
            refused = _Refusal(is_input=False, is_disk_full=True, detail=CONTENT_DISK_FULL)
            return _Outcome(refusal=refused)
        detail = f"Không ghi được âm thanh ({because(error)}). Hãy báo quản trị xem ổ đĩa."
        return _Outcome(refusal=_Refusal(is_input=False, detail=detail))


if __name__ == "__main__":
    _main()
