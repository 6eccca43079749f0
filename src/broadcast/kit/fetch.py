"""Fetching a document from an address that somebody has given: the four steps of `outbound.py`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import NamedTuple

from broadcast.kit import outbound

CHUNK = 1 << 16


class NotFetched(Exception):
    """It did not come; the text says why and what to do.

    Attributes:
        status: What the server answered; None: nothing, or what is not taken.
    """

    def __init__(self, why: str, status: int | None = None) -> None:
        super().__init__(why)
        self.status = status


class Answer(NamedTuple):
    """What a server answered.

    Attributes:
        is_new: False: it is as it was (304).
        body: Empty unless `is_new`.
        url: Where it came from, after redirects.
        etag: To ask again with; empty where the server names none.
        modified: Its `Last-Modified`, as it was written.
    """

    is_new: bool
    body: bytes
    url: str
    etag: str
    modified: str


async def fetch(
    url: str,
    *,
    most_bytes: int,
    seconds: float,
    allowed: Sequence[outbound.Network] = (),
    etag: str = "",
    modified: str = "",
    stays: bool = False,
) -> Answer:
    """Fetch a document, following redirects; never from an address that is not allowed.

    Args:
        url: http or https.
        most_bytes: Of the document.
        seconds: For all of it, redirects included.
        allowed: Networks of the province besides the public Internet.
        etag: Of the answer before, or empty.
        modified: `Last-Modified` of the answer before, or empty.
        stays: A redirect to another host is refused.

    Raises:
        NotFetched: Refused, too large, too slow, or no answer.
    """
    conditions = {"If-None-Match": etag, "If-Modified-Since": modified}
    headers = {name: value for name, value in conditions.items() if value}
    try:
        async with asyncio.timeout(seconds):
            aim = outbound.target(url)
            for _ in range(outbound.MOST_REDIRECTS + 1):
                answer = await _ask(aim, headers, most_bytes, allowed)
                if isinstance(answer, Answer):
                    return answer
                there = outbound.redirected(aim, answer)
                if stays and there.host != aim.host:
                    raise NotFetched(
                        f"địa chỉ này chuyển sang máy khác ({there.host}); hãy ghi địa chỉ ở đó"
                    )
                aim = there
    except TimeoutError:
        raise NotFetched(f"quá {seconds:.0f} giây chưa tải xong; sẽ thử lại") from None
    except ValueError as error:
        raise NotFetched(str(error)) from None
    raise NotFetched("chuyển hướng quá nhiều lần; hãy ghi địa chỉ cuối cùng")


async def _ask(
    aim: outbound.Target,
    headers: Mapping[str, str],
    most_bytes: int,
    allowed: Sequence[outbound.Network],
) -> Answer | str:
    """One request: the answer, or where a redirect leads."""
    import httpx2  # noqa: PLC0415 — only who fetches pays for its import

    address = outbound.pinned(aim, await _resolved(aim), allowed)
    there = httpx2.URL(aim.url)
    ours = {
        **headers,
        "Host": there.netloc.decode("ascii"),
        "Accept-Encoding": "identity",
        "User-Agent": "broadcast",
    }
    # The connection goes to the address; certificate and Host are those of the name.
    pinned = there.copy_with(host=str(address))
    extensions = {"sni_hostname": aim.host}
    try:
        async with (
            httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=None) as client,
            client.stream("GET", pinned, headers=ours, extensions=extensions) as response,
        ):
            status = response.status_code
            if 300 <= status < 400 and status != 304 and "location" in response.headers:
                return str(response.headers["location"])
            told = [_sent_back(response.headers.get(name, "")) for name in _CONDITIONS]
            if status == 304 and headers:
                return Answer(False, b"", aim.url, *told)
            if status != 200:
                raise NotFetched(f"máy chủ trả lời {status}; hãy kiểm tra địa chỉ", status)
            if response.headers.get("content-encoding", "identity") != "identity":
                raise NotFetched("máy chủ gửi dữ liệu nén dù không được yêu cầu; hãy báo bên gửi")
            body = bytearray()
            async for chunk in response.aiter_raw(CHUNK):
                body += chunk
                if len(body) > most_bytes:
                    raise NotFetched(f"lớn hơn {most_bytes // 1024} KiB; hãy báo bên gửi")
            return Answer(True, bytes(body), aim.url, *told)
    except (httpx2.HTTPError, OSError) as error:
        raise NotFetched(f"không kết nối được ({type(error).__name__}); sẽ thử lại") from None


_CONDITIONS = ("etag", "last-modified")


def _sent_back(value: str) -> str:
    """What an answer says of itself, if it can stand in a header of ours."""
    return value if value.isascii() and len(value) <= 200 else ""


async def _resolved(aim: outbound.Target) -> list[outbound.Address]:
    if outbound.literal(aim.host) is not None:
        return []
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(aim.host, aim.port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [ip_address(each[4][0]) for each in found]
