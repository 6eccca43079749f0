"""A multipart request (RFC 7578) → its fields, and one file on disk that never lay in memory."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote_to_bytes

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from broadcast.bulletins import scratch
from broadcast.kit.errors import BroadcastError, InvalidInput, TooLarge

SECONDS = 900.0
"""Time one upload may take: 200 MB at 2 Mbit/s. Longer is a link too bad or a client that holds
connections on purpose."""

FIELD_BYTES = 64 * 1024
"""All fields beside the file, and what multipart itself adds."""


_EXTENDED = re.compile(rb";\s*filename\*\s*=\s*\"?([\w.:-]*)'[^']*'([^;]*)", re.IGNORECASE)
"""RFC 5987."""


class TooSlow(BroadcastError):
    """The body did not arrive in time (RFC 9110 §15.5.9)."""

    status = 408
    slug = "too-slow"
    title = "Tải lên quá lâu"


@dataclass(frozen=True)
class Upload:
    """A received form.

    Attributes:
        fields: Text fields by name.
        path: The file; gone when the context ends, unless it was moved away.
        name: File name as sent, its last component, for people only.
        sha256: Of the file.
    """

    fields: dict[str, str]
    path: Path
    name: str
    sha256: str


@asynccontextmanager
async def received(
    request: Request, folder: Path, limit_bytes: int, *, seconds: float = SECONDS
) -> AsyncIterator[Upload]:
    """Receive a form with a field `file` into `folder`; the file is removed afterwards.

    Args:
        request: Its body must not have been read.
        folder: Made when missing.
        limit_bytes: Largest accepted file.
        seconds: Time that receiving may take.

    Raises:
        TooLarge: The file is larger than the limit.
        TooSlow: Time was up.
        InvalidInput: No form, no file in it, two files, or an empty one.
    """
    _, options = parse_options_header(request.headers.get("content-type"))
    if b"boundary" not in options:
        raise InvalidInput("Content-Type", "multipart/form-data phải có boundary")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit_bytes + FIELD_BYTES:
        raise _too_large(limit_bytes)
    form = await asyncio.to_thread(_Form, options[b"boundary"], folder, limit_bytes)
    try:
        try:
            async with asyncio.timeout(seconds):
                async for chunk in request.stream():
                    await asyncio.to_thread(form.feed, chunk)
        except TimeoutError:
            raise TooSlow(
                f"Sau {seconds:.0f} giây vẫn chưa nhận đủ tệp; hãy nén tệp nhỏ hơn (MP3, Opus)"
                " hoặc tải lên từ mạng nhanh hơn."
            ) from None
        except ClientDisconnect:
            raise InvalidInput("file", "kết nối đứt trước khi nhận đủ tệp") from None
        yield await asyncio.to_thread(form.finish)
    finally:
        await asyncio.to_thread(form.discard)


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(
        f"Tệp lớn hơn {limit_bytes / 2**20:g} MB; hãy nén thành MP3 hoặc Opus rồi tải lại.",
        field="file",
        limit_bytes=limit_bytes,
    )


class _Form:
    """Takes the parser's callbacks: bytes of the file to disk, the short rest to memory."""

    def __init__(self, boundary: bytes, folder: Path, limit_bytes: int) -> None:
        descriptor, self._path = scratch.upload(folder)
        self._file = os.fdopen(descriptor, "wb")
        self._limit_bytes = limit_bytes
        self._received = self._file_bytes = self._field_bytes = 0
        self._sha256 = hashlib.sha256()
        self._fields: dict[str, bytearray] = {}
        self._file_name: str | None = None
        self._field: bytearray | None = None
        self._header = self._value = b""
        self._disposition = b""
        self._complete = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_began,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_ended,
                "on_headers_finished": self._headers_ended,
                "on_part_data": self._data,
                "on_end": self._ended,
            },
        )

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        self._received += len(chunk)
        if self._received > self._limit_bytes + FIELD_BYTES:
            raise _too_large(self._limit_bytes)
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise InvalidInput("file", "biểu mẫu multipart bị hỏng") from None

    def finish(self) -> Upload:
        """Return the form once all of it has arrived."""
        if not self._complete:
            raise InvalidInput("file", "biểu mẫu multipart bị cụt; hãy tải lại")
        if self._file_name is None:
            raise InvalidInput("file", "thiếu tệp âm thanh")
        if not self._file_bytes:
            raise InvalidInput("file", "tệp rỗng; hãy chọn đúng tệp rồi tải lại")
        self._file.flush()
        return Upload(
            {name: _text(value) for name, value in self._fields.items()},
            self._path,
            self._file_name,
            self._sha256.hexdigest(),
        )

    def discard(self) -> None:
        """Remove the file."""
        with suppress(FileNotFoundError):
            self._path.unlink()
        with suppress(OSError):  # a full disk
            self._file.close()

    def _part_began(self) -> None:
        self._disposition = self._header = self._value = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ended(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_ended(self) -> None:
        _, options = parse_options_header(self._disposition.decode("latin-1"))
        name = _text(options.get(b"name", b""))
        sent = _file_name(self._disposition, options)
        if sent is not None:
            if name != "file" or self._file_name is not None:
                raise InvalidInput("file", "chỉ nhận một tệp, ở trường “file”")
            self._field = None
            self._file_name = _printable(PurePosixPath(sent).name)[:200]
            return
        if name in self._fields:
            raise InvalidInput(name, "trường này gửi hai lần")
        self._count_field(len(self._disposition))
        self._field = self._fields[name] = bytearray()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._file_bytes += end - start
            if self._file_bytes > self._limit_bytes:
                raise _too_large(self._limit_bytes)
            piece = memoryview(data)[start:end]
            self._sha256.update(piece)
            self._file.write(piece)
            return
        self._count_field(end - start)
        self._field += data[start:end]

    def _count_field(self, size_bytes: int) -> None:
        self._field_bytes += size_bytes
        if self._field_bytes > FIELD_BYTES:
            raise TooLarge(f"Các trường văn bản dài hơn {FIELD_BYTES // 1024} KB.")

    def _ended(self) -> None:
        self._complete = True


def _file_name(disposition: bytes, options: dict[bytes, bytes]) -> str | None:
    """Name of a part's file, None for a field.

    RFC 7578 forbids `filename*`, and some clients send nothing else.
    """
    extended = _EXTENDED.search(disposition)
    if extended is None:
        return _text(options[b"filename"]) if b"filename" in options else None
    charset, encoded = extended.group(1).decode("latin-1"), extended.group(2)
    try:
        return unquote_to_bytes(encoded.strip(b' "')).decode(charset, "replace")
    except (LookupError, UnicodeError):  # no such encoding, or none of names
        return _text(unquote_to_bytes(encoded))


def _text(raw: bytes | bytearray) -> str:
    return raw.decode("utf-8", "replace")


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
