"""What an index of messages names, whatever else is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadcast.alerts.cap import index, reading
from tests.alerts.cap.messages import alert

PUBLISHED = Path(__file__).parent / "published"
AT = "https://kttv.vn/cap/index"
ATOM = '<feed xmlns="http://www.w3.org/2005/Atom">{}</feed>'


def listed(text: str | bytes) -> list[str] | None:
    data = text if isinstance(text, bytes) else text.encode()
    found = index.entries(reading.parse(data), AT)
    return None if found is None else [each.url for each in found]


def entry(links: str, name: str = "1", updated: str = "a") -> str:
    return f"<entry><id>{name}</id><updated>{updated}</updated>{links}</entry>"


def rss(items: str) -> str:
    return f'<rss version="2.0"><channel>{items}</channel></rss>'


@pytest.mark.parametrize(
    ("document", "urls"),
    [
        (ATOM.format(""), []),
        (ATOM.format(entry('<link href="a.xml"/>')), ["https://kttv.vn/cap/a.xml"]),
        (
            ATOM.format(entry('<link href="p.html" type="text/html"/>'
                              '<link href="/m.cap" type="application/cap+xml"/>')),
            ["https://kttv.vn/m.cap"],
        ),
        (ATOM.format(entry('<link rel="self" href="x.xml"/>')), []),
        (ATOM.format(entry('<link href="p.html" type="text/html"/>')), []),
        (ATOM.format(entry("")), []),
        (ATOM.format(entry('<link href="a"/>') * 3), ["https://kttv.vn/cap/a"]),
        (rss("<item><link>https://b.vn/1</link><guid>1</guid></item>"), ["https://b.vn/1"]),
        (
            rss('<item><link>b</link><enclosure url="m.xml" type="text/xml"/></item>'),
            ["https://kttv.vn/cap/m.xml"],
        ),
        (rss("<item><title>x</title></item>"), []),
        ("<html/>", None),
        ("<feed/>", None),
    ],
)  # fmt: skip
def test_an_index_names_its_messages(document: str, urls: list[str] | None) -> None:
    assert listed(document) == urls


def test_a_published_index_names_a_message_for_each_entry() -> None:
    data = (PUBLISHED / "weather_index.atom").read_bytes()
    urls = listed(data)
    assert urls is not None
    assert len(urls) == data.count(b"<entry>")
    assert all(url.startswith("http") for url in urls)


def test_an_index_of_thousands_is_read_to_a_bound() -> None:
    many = "".join(entry(f'<link href="{number}"/>', str(number)) for number in range(1000))
    urls = listed(ATOM.format(many))
    assert urls is not None
    assert len(urls) == index.MOST_ENTRIES
    assert urls[0] == "https://kttv.vn/cap/0"


def test_what_has_changed_has_another_key() -> None:
    link = '<link href="a"/>'
    keys = [
        index.entries(reading.parse(ATOM.format(entry(link, updated=at)).encode()), AT)
        for at in ("a", "b", "a")
    ]
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize(
    "around",
    [
        lambda message: message,
        lambda message: ATOM.format(entry(f"<content type='text/xml'>{message}</content>")),
        lambda message: rss(f"<item><guid>1</guid>{message}</item>"),
    ],
)
def test_a_message_that_an_index_carries_is_read_as_it_is(around: object) -> None:
    message = alert().decode().partition("?>")[2] or alert().decode()
    assert callable(around)
    [found] = index.entries(reading.parse(around(message).encode()), AT) or []
    assert found.url == ""
    carried = reading.read(reading.parse(index.document(found.message)))
    assert carried == reading.read(reading.parse(alert()))
