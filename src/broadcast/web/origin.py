"""Where a request came from."""

from __future__ import annotations

import ipaddress

from fastapi import Request

from broadcast.audit import recording
from broadcast.audit.entry import Origin


def of(request: Request) -> Origin:
    """Address and user agent of a request.

    Behind the proxy of this machine, as docs/operations.md recommends it, the address that the
    proxy has seen: the last of `X-Forwarded-For`. What stands before it anybody can claim; and of
    another machine's header nothing is believed.
    """
    address = request.client.host if request.client else ""
    seen = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    if seen and _is_loopback(address):
        address = seen
    return recording.origin(address, request.headers.get("user-agent", ""))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
