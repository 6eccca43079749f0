"""Reading a little from an address that a person has given: `kit.outbound`, carried out.

A client of its own, of HTTP/1.1 GET alone: it connects to the address that was judged and to no
other, reads no more than it is told, and understands the `ICY 200 OK` of old SHOUTcast servers.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from broadcast.kit import outbound
from broadcast.kit.outbound import Address, Network, Target

CONNECT_SECONDS = 8.0
READ_SECONDS = 8.0
"""For an answer, and for each piece of it."""

HEAD_BYTES = 16 * 1024


class Unreachable(Exception):
    """Nothing can be read there; says why, for people."""


class Answer(NamedTuple):
    """The beginning of an answer."""

    url: str
    """Where it came from, after redirects."""
    kind: str
    """Content type, lower case, without parameters."""
    body: bytes


async def fetch(
    url: str, most_bytes: int, seconds: float, allowed: Sequence[Network] = ()
) -> Answer:
    """Read the first bytes of an address, as far as they come in time.

    Args:
        url: Where.
        most_bytes: No more is read.
        seconds: Nor for longer: what has come until then is the answer.
        allowed: Networks that may be connected to though they are not public.

    Raises:
        Unreachable: No answer, or none with 200.
    """
    aim = _target(url)
    for _ in range(outbound.MOST_REDIRECTS + 1):
        try:
            status, headers, body = await _get(aim, most_bytes, seconds, allowed)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError, TimeoutError) as error:
            raise Unreachable(f"máy “{aim.host}” không trả lời ({_name(error)})") from None
        except UnicodeError:  # of a name, as it is resolved
            raise Unreachable(f"không tìm thấy máy “{aim.host}”; kiểm tra lại địa chỉ") from None
        except asyncio.LimitOverrunError:
            raise Unreachable(f"máy “{aim.host}” trả lời quá dài, không phải luồng phát") from None
        if status in {301, 302, 303, 307, 308} and headers.get("location"):
            try:
                aim = outbound.redirected(aim, headers["location"])
            except ValueError as error:
                raise Unreachable(str(error)) from None
            continue
        if status != 200:
            raise Unreachable(f"máy “{aim.host}” từ chối (HTTP {status}); kiểm tra lại địa chỉ")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        return Answer(aim.url, kind, body)
    raise Unreachable(f"máy “{aim.host}” chuyển hướng mãi; hãy ghi địa chỉ cuối cùng")


def _target(url: str) -> Target:
    try:
        return outbound.target(url)
    except ValueError as error:
        raise Unreachable(str(error)) from None


def _name(error: BaseException) -> str:
    return "quá giờ" if isinstance(error, TimeoutError) else type(error).__name__


async def _resolve(aim: Target) -> list[Address]:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_SECONDS):
        found = await loop.getaddrinfo(aim.host, aim.port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]


async def _get(
    aim: Target, most_bytes: int, seconds: float, allowed: Sequence[Network]
) -> tuple[int, dict[str, str], bytes]:
    try:
        address = outbound.pinned(aim, await _resolve(aim), allowed)
    except ValueError as error:
        raise Unreachable(str(error)) from None
    is_secure = aim.url.startswith("https:")
    async with asyncio.timeout(CONNECT_SECONDS):
        reader, writer = await asyncio.open_connection(
            str(address),
            aim.port,
            limit=HEAD_BYTES,
            ssl=ssl.create_default_context() if is_secure else None,
            server_hostname=aim.host if is_secure else None,
        )
    try:
        writer.write(_request(aim))
        async with asyncio.timeout(READ_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        status, headers = _head(head)
        body = bytearray()
        if status == 200:
            with suppress(TimeoutError):  # what came until now is the answer
                async with asyncio.timeout(seconds):
                    await _read(reader, body, most_bytes, headers)
        return status, headers, bytes(body)
    finally:
        writer.transport.abort()


def _request(aim: Target) -> bytes:
    parts = urlsplit(aim.url)
    path = parts._replace(scheme="", netloc="", path=parts.path or "/").geturl()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: broadcast\r\n"
        "Accept: audio/*, application/vnd.apple.mpegurl, */*\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


def _head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not (words[0] == "ICY" or words[0].startswith("HTTP/1.")):
        raise Unreachable("nơi đó không nói HTTP; kiểm tra lại địa chỉ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return int(words[1]) if words[1].isdecimal() else 0, headers


async def _read(
    reader: asyncio.StreamReader, body: bytearray, most: int, headers: dict[str, str]
) -> None:
    """Read what comes into `body`, until it ends or is enough."""
    chunked = headers.get("transfer-encoding", "").lower() == "chunked"
    left = 0
    while len(body) < most:
        if chunked and not left:
            line = (await reader.readuntil(b"\r\n")).partition(b";")[0].strip()
            left = int(line, 16) if re.fullmatch(rb"[0-9a-fA-F]{1,8}", line) else 0
            if not left:
                return
        async with asyncio.timeout(READ_SECONDS):
            piece = await reader.read(min(most - len(body), left if chunked else 65_536))
        if not piece:
            return
        body += piece
        if chunked:
            left -= len(piece)
            if not left:
                await reader.readuntil(b"\r\n")
