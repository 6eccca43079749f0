"""The child process: same bytes as in-process, and nothing it suffers reaches the server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from structlog.testing import capture_logs

from broadcast.bulletins import sandbox, scratch
from broadcast.bulletins.audio import mastering, renditions
from broadcast.bulletins.speech.script import script_of
from broadcast.config import Audio
from broadcast.kit.errors import BroadcastError, DiskFull, InvalidInput, Unavailable
from tests import waiting
from tests.bulletins.audio.sources import noise, sine, write

QUICK = Audio(chime=False)


T = TypeVar("T")


async def eventually(ask: Callable[[], T]) -> T:
    """The first answer that is true."""
    return await asyncio.to_thread(waiting.until, ask)


def children(content_dir: Path) -> list[int]:
    """Processes at work in a store."""
    running = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [each for each in running if str(content_dir) in environment(each)]


def environment(process_id: int) -> str:
    try:
        return Path(f"/proc/{process_id}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def limits(process_id: int) -> dict[str, str]:
    """Soft limits by name."""
    lines = Path(f"/proc/{process_id}/limits").read_text().splitlines()
    return {line[:25].strip(): line[26:].split()[0] for line in lines}


def is_running(process_id: int) -> bool:
    return Path(f"/proc/{process_id}").exists()


@asynccontextmanager
async def stuck(
    tmp_path: Path, settings: Audio
) -> AsyncIterator[tuple[asyncio.Task[object], int]]:
    """A preparation that waits for ever: its source is a pipe that nobody writes to."""
    source, content_dir = tmp_path / "pipe", tmp_path / "content"
    os.mkfifo(source)
    task: asyncio.Task[object] = asyncio.create_task(
        sandbox.prepare_upload(source, content_dir, settings)
    )
    try:
        yield task, (await eventually(lambda: children(content_dir)))[0]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_child_makes_the_bytes_that_the_function_makes(tmp_path: Path) -> None:
    source = write(tmp_path / "a.flac", noise(2), codec="flac")
    here = renditions.prepare(source, tmp_path / "content", QUICK)
    assert await sandbox.prepare_upload(source, tmp_path / "content", QUICK) == here
    assert [path.name for path in (tmp_path / "content").glob(".*")] == []


@pytest.mark.slow
async def test_a_text_becomes_a_bulletin_the_same_one_every_time(tmp_path: Path) -> None:
    text = script_of("THÔNG BÁO\nUBND xã họp lúc 19h30 ngày 15/12.")
    first = await sandbox.prepare_text(text, tmp_path / "content", Audio())
    assert first == await sandbox.prepare_text(text, tmp_path / "content", Audio())
    assert 9 < first.seconds < 16
    for rendition in first.renditions:
        heard = mastering.measure(rendition.path)
        assert heard.loudness_lufs == pytest.approx(-16, abs=0.5)
        assert heard.true_peak_dbtp <= -1.5


async def test_a_refusal_names_the_field_that_was_sent(tmp_path: Path) -> None:
    source = tmp_path / "a.mp3"
    source.write_text("không phải âm thanh")
    with pytest.raises(InvalidInput) as caught:
        await sandbox.prepare_upload(source, tmp_path / "content", QUICK)
    assert caught.value.field == "file"
    assert caught.value.detail.startswith("file: Không đọc được tệp này")
    too_long = Audio(chime=False, longest_seconds=2)
    with pytest.raises(InvalidInput, match=r"^text: .*dài hơn") as caught:
        await sandbox.prepare_text("Xin chào bà con. " * 5, tmp_path / "content", too_long)
    assert caught.value.field == "text"


async def test_a_missing_piper_voice_is_the_servers_fault(tmp_path: Path) -> None:
    settings = Audio(piper_voice=tmp_path / "nowhere.onnx")
    with pytest.raises(Unavailable, match="nowhere"):
        await sandbox.prepare_text("Xin chào.", tmp_path / "content", settings)


async def test_a_child_is_limited_and_sees_nothing_of_the_servers_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", "postgresql://secret")
    settings = Audio(work_seconds=41, work_bytes=512 * 2**20, longest_seconds=100)
    async with stuck(tmp_path, settings) as (_, process_id):
        assert "secret" not in environment(process_id)
        await eventually(lambda: limits(process_id)["Max cpu time"] == "41")
        allowed = limits(process_id)
        assert allowed["Max data size"] == str(512 * 2**20)
        assert allowed["Max core file size"] == "0"
        assert allowed["Max file size"] == str(100 * 48_000 * 4 + 64 * 2**20)


async def test_a_child_that_hangs_is_killed_and_leaves_nothing(tmp_path: Path) -> None:
    async with stuck(tmp_path, Audio(work_seconds=1)) as (task, process_id):
        with pytest.raises(InvalidInput, match="Xử lý quá lâu"):
            await task
    assert not is_running(process_id)
    assert list((tmp_path / "content").iterdir()) == []


async def test_a_caller_that_goes_away_takes_the_child_along(tmp_path: Path) -> None:
    async with stuck(tmp_path, QUICK) as (task, process_id):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not is_running(process_id)
    assert list((tmp_path / "content").iterdir()) == []


async def test_a_child_that_crashes_is_the_files_fault(tmp_path: Path) -> None:
    async with stuck(tmp_path, QUICK) as (task, process_id):
        os.kill(process_id, 11)
        with pytest.raises(InvalidInput, match="làm hỏng bộ giải mã"):
            await task
    assert list((tmp_path / "content").iterdir()) == []


@pytest.mark.slow
async def test_too_much_work_is_cut_off(tmp_path: Path) -> None:
    source = write(tmp_path / "a.wav", noise(120))
    with pytest.raises(InvalidInput, match="quá lâu hoặc quá nặng"):
        await sandbox.prepare_upload(source, tmp_path / "content", Audio(work_seconds=1))
    assert list((tmp_path / "content").iterdir()) == []


async def test_too_much_memory_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "a.wav", noise(10))
    with pytest.raises(InvalidInput, match="quá lâu hoặc quá nặng"):
        await sandbox.prepare_upload(source, tmp_path / "content", Audio(work_bytes=2**20))


async def test_a_fault_of_ours_is_logged_and_not_blamed_on_the_file(tmp_path: Path) -> None:
    source = write(tmp_path / "a.wav", sine(2))
    settings = QUICK.model_copy(update={"work_bytes": -7})
    with capture_logs() as logs, pytest.raises(BroadcastError) as caught:
        await sandbox.prepare_upload(source, tmp_path / "content", settings)
    assert type(caught.value) is BroadcastError
    (failed,) = [line for line in logs if line["event"] == "bulletins.audio.failed"]
    assert "work_bytes" in failed["stderr"]


async def test_a_store_that_cannot_be_written_is_the_servers_fault(tmp_path: Path) -> None:
    content_dir = tmp_path / "content"
    content_dir.mkdir()
    for prefix in range(256):
        (content_dir / f"{prefix:02x}").touch()
    with pytest.raises(Unavailable, match="Không ghi được âm thanh"):
        await sandbox.prepare_upload(write(tmp_path / "a.wav", sine(2)), content_dir, QUICK)


def test_what_a_killed_server_left_is_removed_and_what_is_at_work_is_not(tmp_path: Path) -> None:
    for name in (".prepare-old", ".upload-old"):
        (tmp_path / name).mkdir() if "prepare" in name else (tmp_path / name).touch()
    (tmp_path / ".prepare-old" / "sound.f32").touch()
    descriptor, receiving = scratch.upload(tmp_path)
    with scratch.folder(tmp_path) as working:
        assert scratch.clear(tmp_path) == 2
        assert set(tmp_path.iterdir()) == {working, receiving}
    os.close(descriptor)
    assert scratch.clear(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 KB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)]
    if subprocess.run(mounting, check=False, capture_output=True).returncode != 0:
        pytest.skip("may not mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


async def test_a_full_disk_is_named_and_nothing_is_left_on_it(
    small_disk: Path, tmp_path: Path
) -> None:
    source = tmp_path / "noise.wav"
    write(source, noise(20))
    with pytest.raises(DiskFull, match="BROADCAST_CONTENT_DIR"):
        await sandbox.prepare_upload(source, small_disk, QUICK)
    left = await asyncio.to_thread(
        lambda: [each for each in small_disk.rglob("*") if each.is_file()]
    )
    assert left == []


@pytest.mark.slow
async def test_a_paused_child_stands_still_and_its_time_with_it(tmp_path: Path) -> None:
    source, content_dir = tmp_path / "pipe", tmp_path / "content"
    os.mkfifo(source)
    child = sandbox.Child()
    task = asyncio.create_task(child.prepare_upload(source, content_dir, Audio(work_seconds=2)))
    process_id = (await eventually(lambda: children(content_dir)))[0]
    child.pause()
    await eventually(lambda: state(process_id) == "T")
    await asyncio.sleep(4.2)  # its own time is four seconds
    assert not task.done()
    child.resume()
    await eventually(lambda: state(process_id) != "T")
    with pytest.raises(InvalidInput, match="Xử lý quá lâu"):
        await task


def state(process_id: int) -> str:
    """Of a process: R running, S sleeping, T stopped, gone when it is."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


async def test_a_child_dies_with_the_server_even_while_it_stands_still(tmp_path: Path) -> None:
    source, content_dir = tmp_path / "pipe", tmp_path / "content"
    os.mkfifo(source)
    program = f"""
import asyncio
from pathlib import Path
from broadcast.bulletins import sandbox
from broadcast.config import Audio
child = sandbox.Child()
async def main():
    work = asyncio.create_task(
        child.prepare_upload(Path({str(source)!r}), Path({str(content_dir)!r}), Audio())
    )
    await asyncio.sleep(0.2)
    while input() != "pause": pass
    child.pause()
    print("paused", flush=True)
    await work
asyncio.run(main())
"""
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert server.stdin is not None
    assert server.stdout is not None
    process_id = (await eventually(lambda: children(content_dir)))[0]
    await eventually(lambda: limits(process_id)["Max cpu time"] == "600")
    server.stdin.write(b"pause\n")
    assert await server.stdout.readline() == b"paused\n"
    await eventually(lambda: state(process_id) == "T")
    server.kill()
    await server.wait()
    await eventually(lambda: state(process_id) in {"gone", "Z"})


@pytest.mark.slow
async def test_progress_is_told(tmp_path: Path) -> None:
    child = sandbox.Child()
    seen = {0}
    task = asyncio.create_task(
        child.prepare_text(script_of("Xin chào bà con. " * 40), tmp_path / "content", QUICK)
    )
    while not task.done():
        seen.add(child.percent)
        await asyncio.sleep(0.005)
    await task
    assert child.percent == 100
    assert len(seen) >= 5
    assert all(0 <= percent <= 100 for percent in seen)
