"""What portals list: feeds, sitemaps and pages as they are found, odd and hostile ones, too."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.kit.clock import LOCAL
from broadcast.portals import reading
from broadcast.portals.model import PortalKind
from broadcast.portals.reading import (
    LONGEST_TAG,
    LONGEST_TITLE,
    MOST_ITEMS,
    MOST_SITEMAPS,
    MOST_TAGS,
    NO_RULE,
    Item,
    Rule,
    Unreadable,
    moment,
    read,
)

URL = "https://xa.example/tin/"


def items(document: str | bytes, kind: PortalKind, rule: Rule = NO_RULE) -> list[Item]:
    data = document.encode() if isinstance(document, str) else document
    return read(data, URL, kind, rule).items


def told(found: list[Item]) -> list[tuple[str, str, str | None, tuple[str, ...]]]:
    return [
        (
            each.title,
            each.url,
            f"{each.published_at.astimezone(LOCAL):%d/%m/%Y %H:%M}" if each.published_at else None,
            each.tags,
        )
        for each in found
    ]


RSS = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>Xã</title>
<item><title>Lịch tiêm &lt;b&gt;phòng&lt;/b&gt;</title><link>https://xa.example/tin/1</link>
  <guid isPermaLink="false">1</guid><pubDate>Mon, 24 Nov 2025 07:30:00 +0700</pubDate>
  <category>Y tế</category><category> Thông tin  thiết yếu </category></item>
<item><title><![CDATA[Cắt điện & nước]]></title><link>/tin/2</link>
  <dc:date>2025-11-23T00:00:00Z</dc:date></item>
</channel></rss>"""


def test_a_feed_in_rss() -> None:
    assert told(items(RSS, PortalKind.FEED)) == [
        (
            "Lịch tiêm phòng", "https://xa.example/tin/1", "24/11/2025 07:30",
            ("Y tế", "Thông tin thiết yếu"),
        ),
        ("Cắt điện & nước", "https://xa.example/tin/2", "23/11/2025 07:00", ()),
    ]  # fmt: skip


def test_a_feed_in_atom_and_in_rss_1() -> None:
    atom = """<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>Họp dân</title><id>a</id>
    <link rel="edit" href="/x"/><link href="3"/><updated>2025-11-25T10:00:00+07:00</updated>
    <published>2025-11-24T10:00:00+07:00</published><category term="ttty" label="Thiết yếu"/>
    </entry></feed>"""
    assert told(items(atom, PortalKind.FEED)) == [
        ("Họp dân", "https://xa.example/tin/3", "24/11/2025 10:00", ("Thiết yếu",))
    ]
    rdf = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
    <channel rdf:about="/"><title>Xã</title></channel>
    <item rdf:about="https://xa.example/4"><title>Bão số 9</title><link>https://xa.example/4</link>
    <dc:date>2025-11-22</dc:date><dc:subject>Thiên tai</dc:subject></item></rdf:RDF>"""
    assert told(items(rdf, PortalKind.FEED)) == [
        ("Bão số 9", "https://xa.example/4", "22/11/2025 00:00", ("Thiên tai",))
    ]


def test_an_item_is_the_same_whatever_becomes_of_its_title() -> None:
    changed = RSS.replace("Cắt điện", "Đính chính: cắt điện")
    assert [each.key for each in items(RSS, PortalKind.FEED)] == [
        each.key for each in items(changed, PortalKind.FEED)
    ]


def test_a_sitemap_names_what_it_can() -> None:
    sitemap = """<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"
    xmlns:news="http://www.google.com/schemas/sitemap-news/0.9">
    <url><loc>https://xa.example/lich-tiem-phong.html</loc><lastmod>2025-11-24</lastmod></url>
    <url><loc>https://xa.example/2</loc><news:news><news:title>Cắt điện</news:title>
    <news:publication_date>2025-11-20T08:00:00+07:00</news:publication_date>
    <news:keywords>điện, thiết yếu</news:keywords></news:news></url></urlset>"""
    assert told(items(sitemap, PortalKind.SITEMAP)) == [
        ("lich tiem phong", "https://xa.example/lich-tiem-phong.html", "24/11/2025 00:00", ()),
        ("Cắt điện", "https://xa.example/2", "20/11/2025 08:00", ("điện", "thiết yếu")),
    ]


def test_of_an_index_of_sitemaps_the_newest_are_read() -> None:
    parts = "".join(
        f"<sitemap><loc>/s{day}.xml</loc><lastmod>2025-11-{day:02}</lastmod></sitemap>"
        for day in range(1, 29)
    )
    index = (
        f'<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{parts}</sitemapindex>'
    )
    listing = read(index.encode(), URL, PortalKind.SITEMAP)
    assert listing.items == []
    assert listing.sitemaps == [f"https://xa.example/s{day}.xml" for day in (28, 27, 26)]
    assert len(listing.sitemaps) == MOST_SITEMAPS


PAGE = """<html><body><div class="news-item first"><a href="5"><img src="x"></a>
<h3><a href="5"> Phun thuốc
 diệt muỗi </a></h3><span class="date">Thứ Hai, 24/11/2025 | 07:30</span></div>
<div class="news-item"><a href="https://xa.example/6">Họp <b>dân</b></a><time
datetime="2025-11-20">hôm qua</time></div><div class="news-item">không có liên kết</div>
<div class="sidebar"><a href="/quang-cao">Quảng cáo 25/11/2025</a></div></body></html>"""


def test_a_page_that_lists_items() -> None:
    assert told(items(PAGE, PortalKind.LIST, Rule("news-item", "date"))) == [
        ("Phun thuốc diệt muỗi", "https://xa.example/tin/5", "24/11/2025 07:30", ()),
        ("Họp dân", "https://xa.example/6", None, ()),
    ]
    assert told(items(PAGE, PortalKind.LIST, Rule("news-item"))) == [
        ("Phun thuốc diệt muỗi", "https://xa.example/tin/5", "24/11/2025 07:30", ()),
        ("Họp dân", "https://xa.example/6", "20/11/2025 00:00", ()),
    ]
    assert items(PAGE, PortalKind.LIST, Rule("news")) == []


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("Mon, 24 Nov 2025 07:30:00 +0700", "24/11/2025 07:30"),
        ("Mon, 24 Nov 2025 00:30:00 GMT", "24/11/2025 07:30"),
        ("2025-11-24T00:30:00Z", "24/11/2025 07:30"),
        ("2025-11-24 07:30", "24/11/2025 07:30"),
        ("2025-11-24", "24/11/2025 00:00"),
        ("07:30 | 24/11/2025", "24/11/2025 07:30"),
        ("Ngày đăng: 24-11-2025", "24/11/2025 00:00"),
        ("Cập nhật 7h05, ngày 4.1.2025 (GMT+7)", "04/01/2025 07:05"),
        ("31/02/2025", None),
        ("24/11/25", None),
        ("hôm qua", None),
        ("", None),
        ("1999-01-01", None),
        ("9999-12-31T23:59:59-12:00", None),
    ],
)
def test_a_day_as_portals_write_it(said: str, at: str | None) -> None:
    found = moment(said)
    assert (found and f"{found.astimezone(LOCAL):%d/%m/%Y %H:%M}") == at


# --- odd and hostile ones ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (b"", PortalKind.FEED),
        (b"   ", PortalKind.SITEMAP),
        (b"", PortalKind.LIST),
        (b"\x00\x01\x02\xff", PortalKind.FEED),
        (b"<html><body>404</body></html>", PortalKind.FEED),
        (b"<rss/>", PortalKind.SITEMAP),
        (b'{"items": []}', PortalKind.FEED),
    ],
)
def test_what_is_something_else_is_said(document: bytes, kind: PortalKind) -> None:
    with pytest.raises(Unreadable, match="hãy mở thử"):
        items(document, kind)


def test_a_broken_feed_is_read_as_far_as_it_goes() -> None:
    broken = RSS.replace("</channel></rss>", "<item><title>Dở & dang")
    assert [each.title for each in items(broken, PortalKind.FEED)][:2] == [
        "Lịch tiêm phòng", "Cắt điện & nước",
    ]  # fmt: skip


def test_another_encoding_is_read() -> None:
    latin = (
        '<?xml version="1.0" encoding="iso-8859-1"?><rss><channel><item><title>Thông</title>'
        "<link>/1</link></item></channel></rss>"
    ).encode("iso-8859-1")
    assert [each.title for each in items(latin, PortalKind.FEED)] == ["Thông"]
    said = '<meta charset="utf-8">' + PAGE
    for page in (PAGE, said):
        assert items(page, PortalKind.LIST, Rule("news-item"))[1].title == "Họp dân"


def test_nothing_is_resolved_or_fetched() -> None:
    secret = (
        '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/hostname"><!ENTITY a "aaaaaaaaaa">'
        '<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><rss><channel><item>'
        "<title>Tin&x;&b;</title><link>/1</link></item></channel></rss>"
    )
    assert [each.title for each in items(secret, PortalKind.FEED)] == ["Tin&x;&b;"]


def test_everything_is_bounded() -> None:
    many = "".join(
        f"<item><title>{'rất dài ' * 200}</title><link>/{n}</link>"
        + "<category>nhãn</category>" * 3
        + "".join(f"<category>{k}{'x' * 300}</category>" for k in range(60))
        + "</item>"
        for n in range(MOST_ITEMS + 50)
    )
    found = items(f"<rss><channel>{many}</channel></rss>", PortalKind.FEED)
    assert len(found) == MOST_ITEMS
    assert len(found[0].title) <= LONGEST_TITLE
    assert len(found[0].tags) == MOST_TAGS
    assert max(map(len, found[0].tags)) <= LONGEST_TAG


def test_no_address_but_of_the_web() -> None:
    for address in ("javascript:alert(1)", "mailto:a@b", "ftp://x/1", "http://[", "/" + "a" * 600):
        rss = (
            f"<rss><channel><item><title>Tin</title><link>{address}</link></item></channel></rss>"
        )
        assert items(rss, PortalKind.FEED) == []


def test_items_inside_items_do_not_multiply_the_work() -> None:
    deep = '<div class="x"><a href="/1">một</a>' * 200 + "</div>" * 200
    assert [each.title for each in items(deep * 20, PortalKind.LIST, Rule("x"))] == ["một"]


@given(st.binary(max_size=400), st.sampled_from(PortalKind))
def test_any_bytes_are_items_or_unreadable(data: bytes, kind: PortalKind) -> None:
    rule = Rule("x") if kind is PortalKind.LIST else Rule()
    try:
        found = items(b"<rss><channel><item>" + data, kind, rule)
    except Unreadable:
        return
    for item in found:
        assert item.title
        assert item.url.startswith("http")


@given(st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30)))  # noqa: DTZ001
def test_a_day_that_is_written_is_read_back(at: datetime) -> None:
    minute = at.replace(second=0, microsecond=0, tzinfo=LOCAL)
    assert moment(f"{minute:%H:%M %d/%m/%Y}") == minute
    assert moment(minute.isoformat()) == minute


def test_a_sitemap_in_any_order_is_read_from_its_newest() -> None:
    entries = "".join(
        f"<url><loc>/{n}</loc><lastmod>{date(2018, 1, 1) + timedelta(days=n)}</lastmod></url>"
        for n in range(2 * MOST_ITEMS)
    )
    found = items(f"<urlset>{entries}</urlset>", PortalKind.SITEMAP)
    assert len(found) == MOST_ITEMS
    assert {each.title for each in found} == {str(n) for n in range(MOST_ITEMS, 2 * MOST_ITEMS)}


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("Sun, 23 Nov 2025 17:30:00 -0000", "24/11/2025 00:30"),
        ("Ngày 24 tháng 11 năm 2025", "24/11/2025 00:00"),
        ("24 Tháng 11, năm 2025 07:30", "24/11/2025 07:30"),
    ],
)
def test_what_few_write_is_read_too(text: str, at: str) -> None:
    found = moment(text)
    assert found is not None
    assert f"{found.astimezone(LOCAL):%d/%m/%Y %H:%M}" == at


@pytest.mark.parametrize(
    "document",
    [
        "<rss><channel>" + "<item/>" * 200_000 + "</channel></rss>",
        RSS.replace("<category>Y tế", "<category/>" * 100_000 + "<category>Y tế"),
    ],
    ids=["items", "sections"],
)
def test_what_is_endless_is_not_read_to_its_end(document: str) -> None:
    cleaned = 0

    def counted(text: str) -> str:
        nonlocal cleaned
        cleaned += 1
        return text

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "visible", counted)
        items(document, PortalKind.FEED)
    assert cleaned <= 10 * MOST_ITEMS
