"""Preparation of bulletins in a child process that may crash, hang or swell without harm.

Whatever decodes untrusted bytes or reads text aloud runs as the module itself: a job comes as
JSON on standard input, an outcome goes as JSON to standard output. The child has limits on CPU
time, memory and file size, writes no core, sees none of the server's environment, and is killed
with everything it started when its time is up or the caller goes away.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Literal

import structlog
from prometheus_client import Counter, Histogram
from pydantic import BaseModel

from broadcast import clock, config
from broadcast.bulletins import audio
from broadcast.bulletins.audio import Prepared
from broadcast.bulletins.loudness import RATE
from broadcast.bulletins.speech import synthesis
from broadcast.errors import (
    CONTENT_DISK_FULL,
    DISK_FULL,
    BroadcastError,
    DiskFull,
    InvalidInput,
    Unavailable,
    because,
)

log = structlog.get_logger()

PREPARATIONS = Counter("broadcast_audio_preparations", "Bulletins prepared", ["outcome"])
SECONDS = Histogram(
    "broadcast_audio_preparation_seconds",
    "From a free slot to the outcome",
    buckets=(1, 3, 10, 30, 100, 300, 1000),
)

AT_ONCE = 2
"""Children that may work at the same time; the others wait their turn."""

_ABANDONED = timedelta(days=1)
_SLOTS = asyncio.Semaphore(AT_ONCE)

Field = Literal["file", "text"]


class _Job(BaseModel):
    """What the child is to do: prepare the source, or read the text aloud and prepare that."""

    source: Path | None = None
    text: str = ""
    content_dir: Path
    scratch: Path
    settings: config.Audio


class _Refusal(BaseModel):
    """An error that the person who asked can understand."""

    is_input: bool
    is_disk_full: bool = False
    detail: str
    extra: dict[str, str | int | float | None] = {}


class _Outcome(BaseModel):
    prepared: Prepared | None = None
    refusal: _Refusal | None = None


async def prepare_upload(source: Path, content_dir: Path, settings: config.Audio) -> Prepared:
    """Prepare an uploaded recording; see `audio.prepare`.

    Raises:
        InvalidInput: The field `file` cannot be used, and why.
        Unavailable: There is no room on the disk.
        BroadcastError: The preparation failed for no fault of the file.
    """
    return await _prepare("file", source, "", content_dir, settings)


async def prepare_text(text: str, content_dir: Path, settings: config.Audio) -> Prepared:
    """Read a text aloud and prepare the recording; `text` is the script of `speech.script`.

    Raises:
        InvalidInput: The field `text` cannot be used, and why.
        Unavailable: There is no room on the disk, or the configured voice is not there.
        BroadcastError: The preparation failed for no fault of the text.
    """
    return await _prepare("text", None, text, content_dir, settings)


async def _prepare(
    field: Field, source: Path | None, text: str, content_dir: Path, settings: config.Audio
) -> Prepared:
    async with _SLOTS:
        began = time.monotonic()
        outcome = "failed"
        scratch = await asyncio.to_thread(_scratch, content_dir)
        try:
            job = _Job(
                source=source,
                text=text,
                content_dir=content_dir,
                scratch=scratch,
                settings=settings,
            )
            prepared = await _run(field, job)
            outcome = "prepared"
        except InvalidInput:
            outcome = "refused"
            raise
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
            took = time.monotonic() - began
            PREPARATIONS.labels(outcome).inc()
            SECONDS.observe(took)
            log.info("bulletins.audio.prepared", field=field, outcome=outcome, took=round(took, 2))
    return prepared


def _scratch(content_dir: Path) -> Path:
    """A directory for one preparation; those of a server that died are removed."""
    content_dir.mkdir(parents=True, exist_ok=True)
    long_ago = (clock.now() - _ABANDONED).timestamp()
    for left in content_dir.glob(".prepare-*"):
        if left.stat().st_mtime < long_ago:
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=".prepare-", dir=content_dir))


async def _run(field: Field, job: _Job) -> Prepared:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "broadcast.bulletins.sandbox",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={
            "LANG": "C.UTF-8",
            "PATH": os.defpath,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "TMPDIR": str(job.scratch),
        },
    )
    try:
        async with asyncio.timeout(2 * job.settings.work_seconds):
            said, complained = await process.communicate(job.model_dump_json().encode())
    except TimeoutError:
        raise InvalidInput(field, _TOO_HEAVY) from None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise InvalidInput(field, _TOO_HEAVY)
    if process.returncode and process.returncode < 0:
        raise InvalidInput(field, _CRASHED)
    if process.returncode != 0:
        log.error(
            "bulletins.audio.failed",
            field=field,
            returncode=process.returncode,
            stderr=complained[-2000:].decode(errors="replace"),
        )
        raise BroadcastError(
            "Không chuẩn bị được âm thanh do lỗi của máy chủ, đã ghi nhật ký. Hãy báo quản trị."
        )
    outcome = _Outcome.model_validate_json(said)
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
    # The outcome keeps the real standard output; libraries that print write to standard error.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = _Job.model_validate_json(sys.stdin.buffer.read())
    _limit(job.settings)
    answer.write(_work(job).model_dump_json())
    answer.close()


def _limit(settings: config.Audio) -> None:
    sound_bytes = settings.longest_seconds * RATE * 4
    for limit, allowed in (
        (resource.RLIMIT_CPU, settings.work_seconds),
        # Not RLIMIT_AS: the scratch file is mapped, and libav and onnxruntime reserve
        # address space that they never touch.
        (resource.RLIMIT_DATA, settings.work_bytes),
        (resource.RLIMIT_FSIZE, sound_bytes + 64 * 2**20),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (allowed, allowed))


def _work(job: _Job) -> _Outcome:
    try:
        source = job.source
        if source is None:
            source = job.scratch / "speech.wav"
            synthesis.speak(job.text, source, piper_voice=job.settings.piper_voice)
        return _Outcome(
            prepared=audio.prepare(source, job.content_dir, job.settings, scratch=job.scratch)
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
