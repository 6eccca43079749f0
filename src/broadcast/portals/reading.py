"""What a portal lists: items out of a feed, a sitemap or a page. Pure.

All of it is a stranger's: number and length of everything are bounded, no entity is resolved and
nothing is fetched. What is broken is read as far as it goes, since portals are often a little
broken; what cannot be read says why.

lxml is imported when it is first used: it takes a twentieth of a second.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timezone
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from broadcast.kit.quiet import OFFSET
from broadcast.kit.text import visible
from broadcast.portals.model import PortalKind

LOCAL = timezone(OFFSET)

MAX_BYTES = 2 * 2**20
MOST_ITEMS = 500
"""Of one document, the first of it."""
MOST_ADDRESSES = 20_000
"""Of one sitemap that are looked at; the newest `MOST_ITEMS` of them are kept."""
MOST_SITEMAPS = 3
"""Of an index of sitemaps, the newest."""
MOST_LINKS = 20
"""Of one item of a page, in which one with words is looked for."""
MOST_TAGS = 20
LONGEST_TITLE = 300
LONGEST_TAG = 100
LONGEST_URL = 500

_SUNDRY = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffd\ue000-\uf8ff\ud800-\udfff]+")
_MARKUP = re.compile(r"<[^<>]{0,500}>")
_VIETNAMESE = re.compile(
    r"(?<!\d)(?P<day>\d{1,2})(?:[/.-]| th\u00e1ng )(?P<month>\d{1,2})(?:[/.-]|,? n\u0103m )"
    r"(?P<year>\d{4})(?!\d)",
    re.IGNORECASE,
)
_HOUR = re.compile(r"(?<!\d)(?P<hour>[01]?\d|2[0-3])[:h](?P<minute>[0-5]\d)(?!\d)")


class Unreadable(ValueError):
    """It is nothing that is read here; the text says why and what to do."""


class Rule(NamedTuple):
    """How items are found on a page that lists them; as the columns of `Portal`."""

    item_class: str = ""
    date_class: str = ""


NO_RULE = Rule()


class Item(NamedTuple):
    """Something that a portal lists."""

    key: str
    url: str
    title: str
    published_at: datetime | None
    tags: tuple[str, ...] = ()


class Listing(NamedTuple):
    """What one document lists."""

    items: list[Item]
    """Each once, in the order of the document."""
    sitemaps: list[str]
    """An index of sitemaps: the newest of them."""


def read(data: bytes, url: str, kind: PortalKind, rule: Rule = NO_RULE) -> Listing:
    """Read a document of a portal.

    Args:
        data: As it came, at most `MAX_BYTES`.
        url: Where it came from; relative addresses are meant from there.
        kind: What it is to be.
        rule: Of a list.

    Raises:
        Unreadable: It is something else.
    """
    if kind is PortalKind.LIST:
        return Listing(_distinct(_of_page(_page(data), url, rule)), [])
    root = _tree(data)
    name = _name(root)
    if kind is PortalKind.FEED and name in {"rss", "RDF", "feed"}:
        return Listing(_distinct(_of_feed(root, url)), [])
    if kind is PortalKind.SITEMAP and name == "urlset":
        return Listing(_newest(_of_sitemap(root, url)), [])
    if kind is PortalKind.SITEMAP and name == "sitemapindex":
        return Listing([], _sitemaps(root, url))
    wanted = "tệp RSS hoặc Atom" if kind is PortalKind.FEED else "sơ đồ trang (sitemap)"
    raise Unreadable(f"địa chỉ này không phải {wanted}; hãy mở thử rồi sửa địa chỉ hoặc cách đọc")


# --- documents -----------------------------------------------------------------------------------


def _tree(data: bytes) -> Any:
    from lxml import etree  # noqa: PLC0415

    parser = etree.XMLParser(
        recover=True, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        root = etree.fromstring(data.strip(), parser)
    except (etree.LxmlError, ValueError):
        root = None
    if root is None:
        raise Unreadable("không đọc được vì không phải XML; hãy mở thử rồi sửa địa chỉ")
    return root


def _page(data: bytes) -> Any:
    from lxml import etree, html  # noqa: PLC0415

    # Without a word of the page itself it is UTF-8: the parser would take it for Latin-1.
    is_said = re.search(rb"charset", data[:2048], re.IGNORECASE) is not None
    parser = html.HTMLParser(
        no_network=True, huge_tree=False, encoding=None if is_said else "utf-8"
    )
    try:
        root = html.document_fromstring(data, parser)
    except (etree.LxmlError, ValueError):
        raise Unreadable("trang trống hoặc không phải HTML; hãy mở thử rồi sửa địa chỉ") from None
    return root


def _name(element: Any) -> str:
    """Name of an element without its namespace; empty for comments and the like."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _parts(element: Any, *names: str) -> Iterator[Any]:
    return (each for each in element if _name(each) in names)


def _outermost(root: Any, is_wanted: Callable[[Any], bool]) -> Iterator[Any]:
    """Elements in the order of the document, none inside another one."""
    waiting = [root]
    while waiting:
        element = waiting.pop()
        if is_wanted(element):
            yield element
        else:
            waiting.extend(reversed(element))


def _said(element: Any, *names: str) -> str:
    """Text of the first of these parts that has some, in the order of the names."""
    for name in names:
        for each in _parts(element, name):
            text = "".join(each.itertext()).strip()
            if text:
                return text
    return ""


# --- feeds ---------------------------------------------------------------------------------------


def _of_feed(root: Any, url: str) -> Iterator[Item]:
    for entry in _outermost(root, lambda each: _name(each) in {"item", "entry"}):
        address = _said(entry, "link") or next(
            (
                each.get("href", "")
                for each in _parts(entry, "link")
                if each.get("rel", "alternate") == "alternate"
            ),
            "",
        )
        identifier = _said(entry, "guid", "id") or entry.get(_RDF_ABOUT, "")
        tags = [
            each.get("label") or each.get("term") or "".join(each.itertext())
            for each in _parts(entry, "category", "subject")
        ]
        yield _item(
            identifier, _joined(url, address or identifier), _said(entry, "title"),
            moment(_said(entry, "pubDate", "published", "date", "updated")), tags,
        )  # fmt: skip


_RDF_ABOUT = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about"


# --- sitemaps ------------------------------------------------------------------------------------


def _of_sitemap(root: Any, url: str) -> Iterator[Item]:
    for entry in _parts(root, "url"):
        address = _joined(url, _said(entry, "loc"))
        news = next(_parts(entry, "news"), None)
        title, at, tags = "", "", ""
        if news is not None:
            title, at = _said(news, "title"), _said(news, "publication_date")
            tags = _said(news, "keywords")
        yield _item(
            "", address, title or _from_address(address),
            moment(at or _said(entry, "lastmod")), tags.split(",", 5 * MOST_TAGS),
        )  # fmt: skip


def _sitemaps(root: Any, url: str) -> list[str]:
    found = [
        (moment(_said(each, "lastmod")), _joined(url, _said(each, "loc")))
        for each in _parts(root, "sitemap")
    ]
    newest = sorted(found, key=lambda each: each[0] or _NEVER, reverse=True)
    return [address for _, address in newest if address][:MOST_SITEMAPS]


_NEVER = datetime.min.replace(tzinfo=UTC)


def _from_address(address: str) -> str:
    """Words of the last part of an address, where nothing else names the item."""
    last = unquote(urlsplit(address).path).rstrip("/").rpartition("/")[2]
    return re.sub(r"[-_+]+", " ", re.sub(r"\.\w{1,5}$", "", last))


# --- pages ---------------------------------------------------------------------------------------


def _of_page(root: Any, url: str, rule: Rule) -> Iterator[Item]:
    base = root.find(".//base[@href]")
    start = _joined(url, base.get("href")) or url if base is not None else url
    for element in _outermost(root, lambda each: _is_of(each, rule.item_class)):
        links = [each for each in element.iter("a") if each.get("href")]
        if _name(element) == "a" and not links:
            links = [element]
        if not links:
            continue
        link = next((each for each in links[:MOST_LINKS] if _plain(each.text_content())), links[0])
        title = _plain(link.text_content()) or link.get("title", "")
        yield _item("", _joined(start, link.get("href")), title, _day_of(element, rule), ())


def _is_of(element: Any, wanted: str) -> bool:
    return isinstance(element.tag, str) and wanted in element.get("class", "").split()


def _day_of(element: Any, rule: Rule) -> datetime | None:
    """The day that is written in an item."""
    if rule.date_class:
        places = [each for each in element.iter() if _is_of(each, rule.date_class)]
        return next(filter(None, (moment(each.text_content()) for each in places)), None)
    for each in element.iter("time"):
        found = moment(each.get("datetime", "")) or moment(each.text_content())
        if found is not None:
            return found
    return moment(element.text_content())


# --- what all have in common ---------------------------------------------------------------------


def moment(text: str) -> datetime | None:
    """The time that a portal writes: RFC 822, RFC 3339, or as Vietnamese pages do.

    Without an offset it is the province's wall time; a bare day is its first minute.

    >>> moment("Thứ Hai, 07:30 24/11/2025").isoformat()
    '2025-11-24T00:30:00+00:00'
    >>> moment("hôm qua") is None
    True
    """
    text = " ".join(unicodedata.normalize("NFC", text[:200]).split())
    for reader in (_iso, _vietnamese, _rfc):
        try:
            found = reader(text)
            aware = found if found.tzinfo else found.replace(tzinfo=LOCAL)
            at = aware.astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        if 2000 <= at.year < 2100:
            return at
    return None


def _iso(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _rfc(text: str) -> datetime:
    found = parsedate_to_datetime(text)
    if found.tzinfo is None and text.endswith("-0000"):
        return found.replace(tzinfo=UTC)  # RFC 5322 §3.3: UTC, wherever it was written
    return found


def _vietnamese(text: str) -> datetime:
    day = _VIETNAMESE.search(text)
    if day is None:
        raise ValueError(text)
    hour = _HOUR.search(text)
    return datetime(
        int(day["year"]), int(day["month"]), int(day["day"]),
        int(hour["hour"]) if hour else 0, int(hour["minute"]) if hour else 0, tzinfo=LOCAL,
    )  # fmt: skip


def _item(identifier: str, url: str, title: str, at: datetime | None, tags: Iterable[str]) -> Item:
    cleaned = dict.fromkeys(_plain(each)[:LONGEST_TAG] for each in islice(tags, 5 * MOST_TAGS))
    key = hashlib.sha256((identifier.strip() or url).encode()).hexdigest()[:32]
    named = tuple(each for each in cleaned if each)[:MOST_TAGS]
    return Item(key, url, _plain(title)[:LONGEST_TITLE], at, named)


def _plain(text: str) -> str:
    """One line without markup and without what no keyboard makes."""
    text = _SUNDRY.sub(" ", _MARKUP.sub(" ", text[: 20 * LONGEST_TITLE]))
    return " ".join(visible(unicodedata.normalize("NFC", text)).split())


def _joined(url: str, address: str) -> str:
    """Where an item is; empty where that cannot be told."""
    address = address.strip()
    if not address or len(address) > LONGEST_URL:
        return ""
    try:
        found = urljoin(url, address)
        is_web = urlsplit(found).scheme in {"http", "https"}
    except ValueError:
        return ""
    plain = _SUNDRY.sub("", found)
    return plain if is_web and len(plain) <= LONGEST_URL else ""


def _distinct(found: Iterable[Item]) -> list[Item]:
    known: dict[str, Item] = {}
    for item in islice(found, 4 * MOST_ITEMS):
        if item.url and item.title:
            known.setdefault(item.key, item)
        if len(known) == MOST_ITEMS:
            break
    return list(known.values())


def _newest(found: Iterable[Item]) -> list[Item]:
    """A sitemap has no order, and may name every page there ever was."""
    known = {item.key: item for item in islice(found, MOST_ADDRESSES) if item.url and item.title}
    dated = sorted(known.values(), key=lambda item: item.published_at or _NEVER, reverse=True)
    return dated[:MOST_ITEMS]
