"""Where the server may connect to for an address that a person has given.

Whoever gives an address has the server ask in their place: from inside, where PostgreSQL, the
broker and the neighbours listen (server-side request forgery). Four steps, none left out:

1. `target`: when the address is stored, and again when it is used.
2. Its host is resolved, once for each connection; `pinned` chooses among the answers.
3. The connection goes to that address and not to the name, which may mean another one a moment
   later (DNS rebinding); the name is for `Host` and for the certificate.
4. A redirect is a new address: `redirected`, from step 2 on; at most `MOST_REDIRECTS`.

Of streams that a station relays, and of portals. What the operator sets up needs no such care.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SCHEMES = {"http": 80, "https": 443}
"""Schemes, and the port of each."""

HTTP_URL = "^[Hh][Tt][Tt][Pp][Ss]?://[!-~]+$"
"""What the description of the interface says of such an address."""

LONGEST = 500
"""Characters of an address, as the wire contract has it."""

MOST_REDIRECTS = 5

_NOT_PUBLIC = tuple(
    map(ipaddress.ip_network, (
        "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "2001::/32", "2002::/16",
    ))
)  # fmt: skip
"""Besides what `ipaddress` knows, and tunnels to IPv4 addresses, which nobody needs any more."""

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label that a resolver takes for an IPv4 address, such as in `127.1` and `0x7f000001`."""


class Target(NamedTuple):
    """What may be connected to, as far as its address tells."""

    url: str
    """Without its fragment."""
    host: str
    """Lower case; a name, or an address without brackets."""
    port: int


def target(url: str) -> Target:
    """Read an address that a person or a server has given.

    Raises:
        ValueError: It is none that is connected to; says why and what to do.
    """
    if len(url) > LONGEST or not url.isascii() or re.search(r"[\x00-\x20\x7f\\]", url):
        raise ValueError(
            f"địa chỉ phải viết bằng chữ không dấu, không có khoảng trắng, tối đa {LONGEST} ký tự"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("địa chỉ viết sai dạng; ví dụ đúng: https://dai.vn/truc-tiep") from None
    if parts.scheme not in SCHEMES:
        raise ValueError(f"địa chỉ phải bắt đầu bằng {' hoặc '.join(f'{s}://' for s in SCHEMES)}")
    if "@" in parts.netloc:
        raise ValueError("không ghi tên người dùng hay mật khẩu trong địa chỉ")
    if port == 0:
        raise ValueError("cổng phải từ 1 đến 65535")
    plain = parts._replace(fragment="").geturl()
    return Target(plain, _host(host), port or SCHEMES[parts.scheme])


def clean_url(url: str) -> str:
    """The address as it is stored.

    Raises:
        ValueError: As `target`.
    """
    return target(url).url


def _host(host: str) -> str:
    if literal(host) is not None:
        return host
    labels = host.removesuffix(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels) or len(host) > 253:
        raise ValueError("tên máy trong địa chỉ viết sai dạng")
    if _NUMBER.fullmatch(labels[-1]):
        raise ValueError("địa chỉ IP phải viết đủ bốn số, ví dụ 203.162.0.181")
    return host


def literal(host: str) -> Address | None:
    """The address that a host is written as; None where it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the public Internet, and none hides in it.

    >>> is_public(IPv4Address("203.162.0.181")), is_public(IPv6Address("::ffff:10.0.0.1"))
    (True, False)
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in _GLOBAL_UNICAST or address.scope_id is not None:
            return False
    is_special = any(address in network for network in _NOT_PUBLIC)
    return address.is_global and not (address.is_multicast or is_special)


def pinned(aim: Target, answers: Iterable[Address], allowed: Sequence[Network] = ()) -> Address:
    """The address to connect to.

    Args:
        aim: What is to be connected to.
        answers: What its host resolves to, now; ignored where it is an address.
        allowed: Networks of the province that may be connected to though they are not public.

    Raises:
        ValueError: It has none, or one of them is not public: a name that means both an address
            outside and one inside is an attempt, not a mistake.
    """
    written = literal(aim.host)
    addresses = [*answers] if written is None else [written]
    if not addresses:
        raise ValueError(f"không tìm thấy máy “{aim.host}”; kiểm tra lại địa chỉ")
    for address in addresses:
        if not is_public(address) and not any(address in network for network in allowed):
            raise ValueError(
                f"máy “{aim.host}” không ở trên Internet công cộng, nên không kết nối"
            )
    return addresses[0]


def redirected(aim: Target, location: str) -> Target:
    """Where a redirect leads; to be resolved and pinned like any other.

    Raises:
        ValueError: Nowhere that is connected to, or from https to http.
    """
    try:
        url = urljoin(aim.url, location)
    except ValueError:
        raise ValueError("máy chủ chuyển hướng đến một địa chỉ viết sai dạng") from None
    there = target(url)
    if aim.url.startswith("https:") and there.url.startswith("http:"):
        raise ValueError("máy chủ chuyển hướng từ https sang http; hãy ghi địa chỉ cuối cùng")
    return there
