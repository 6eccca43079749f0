"""The index of an authority's CAP messages: Atom or RSS, or a message by itself.

Pure. What is an index and what is said in it is up to a stranger: everything is bounded, and
only what names a message is taken from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urljoin

from broadcast.alerts.cap.message import NAMESPACE

ATOM = "{http://www.w3.org/2005/Atom}"
CAP_TYPES = frozenset({"application/cap+xml", "application/common-alerting-protocol+xml"})
XML_TYPES = frozenset({"application/xml", "text/xml"})

MOST_ENTRIES = 300
"""Of one index, the first of it: they list the newest first."""

LONGEST = 2000
"""Characters of what an index says of an entry."""


class Entry(NamedTuple):
    """A message that an index names.

    Attributes:
        key: Changes when the entry does.
        url: Where its message is; empty where the index carries it.
        message: The message itself, an element of the index.
    """

    key: str
    url: str
    message: Any = None


def entries(root: Any, url: str) -> list[Entry] | None:
    """What a document lists, in its order and each once; None where it is no index.

    Args:
        root: As `reading.parse` returns it.
        url: Where it came from; relative addresses are meant from there.
    """
    if root.tag == f"{{{NAMESPACE}}}alert":
        found: Iterator[Entry] = iter([Entry(_key(root.findtext(f"{{{NAMESPACE}}}identifier"), ""),
                                             "", root)])  # fmt: skip
    elif root.tag == f"{ATOM}feed":
        found = (_of_atom(each, url) for each in root.iterfind(f"{ATOM}entry"))
    elif root.tag == "rss":
        found = (_of_rss(each, url) for each in root.iterfind("channel/item"))
    else:
        return None
    known: dict[str, Entry] = {}
    for entry in found:
        if entry.url or entry.message is not None:
            known.setdefault(entry.key, entry)
        if len(known) == MOST_ENTRIES:
            break
    return list(known.values())


def _of_atom(entry: Any, url: str) -> Entry:
    message = entry.find(f"{ATOM}content/{{{NAMESPACE}}}alert")
    links = [
        (link.get("type", ""), link.get("rel", "alternate"), link.get("href", ""))
        for link in entry.iterfind(f"{ATOM}link")
    ]
    address = next((href for kind, _, href in links if kind in CAP_TYPES), "") or next(
        (href for kind, rel, href in links if rel == "alternate" and kind in {"", *XML_TYPES}), ""
    )
    name = entry.findtext(f"{ATOM}id") or address
    return Entry(_key(name, entry.findtext(f"{ATOM}updated")), _joined(url, address), message)


def _of_rss(item: Any, url: str) -> Entry:
    message = item.find(f"{{{NAMESPACE}}}alert")
    enclosed = next(
        (each.get("url", "") for each in item.iterfind("enclosure")
         if each.get("type", "") in CAP_TYPES | XML_TYPES),
        "",
    )  # fmt: skip
    address = enclosed or item.findtext("link") or ""
    name = item.findtext("guid") or address
    return Entry(_key(name, item.findtext("pubDate")), _joined(url, address), message)


def _key(name: str | None, changed: str | None) -> str:
    return hashlib.sha256(f"{name or ''}\n{changed or ''}".encode()).hexdigest()[:32]


def _joined(url: str, address: str) -> str:
    address = address.strip()
    if not address or len(address) > LONGEST:
        return ""
    try:
        return urljoin(url, address)
    except ValueError:
        return ""


def document(message: Any) -> bytes:
    """A message that an index carries, as a document of its own."""
    from lxml import etree  # noqa: PLC0415 — as in `reading.py`

    message.tail = None
    return bytes(etree.tostring(message, encoding="utf-8", xml_declaration=True))
