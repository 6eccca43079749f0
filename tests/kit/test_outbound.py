"""No address that a person gives leads the server to where it alone may look."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.kit.outbound import LONGEST, Target, is_public, pinned, redirected, target

PUBLIC = IPv4Address("203.162.0.181")

INSIDE = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
    "::/128", "::1/128", "fc00::/7", "fe80::/10", "ff00::/8", "2001:db8::/32", "100::/64",
]  # fmt: skip


def within(network: str) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    return st.ip_addresses(network=network)


inside = st.sampled_from(INSIDE).flatmap(within)
inside_v4 = st.sampled_from([each for each in INSIDE if ":" not in each]).flatmap(within)


@given(inside)
def test_nothing_inside_is_public(address: IPv4Address | IPv6Address) -> None:
    assert not is_public(address)


@given(inside_v4.map(int))
def test_nothing_inside_is_public_in_a_disguise(address: int) -> None:
    for prefix in (
        int(IPv6Address("::ffff:0:0")),  # mapped
        int(IPv6Address("64:ff9b::")),  # NAT64, well known
        int(IPv6Address("64:ff9b:1::")),  # NAT64, local
        int(IPv6Address("::")),  # compatible, deprecated
    ):
        assert not is_public(IPv6Address(prefix | address))
    assert not is_public(IPv6Address(0x2002 << 112 | address << 80))  # 6to4
    teredo = 0x2001_0000 << 96 | int(PUBLIC) << 64 | address ^ 0xFFFF_FFFF
    assert not is_public(IPv6Address(teredo))


@pytest.mark.parametrize("address", ["203.162.0.181", "8.8.8.8", "2402:800::1", "::ffff:8.8.8.8"])
def test_what_is_public_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://dai.vn/a?b=c", "dai.vn", 80),
        ("https://DAI.vn:8443/", "dai.vn", 8443),
        ("https://203.162.0.181", "203.162.0.181", 443),
        ("http://[2402:800::1]:8000/live", "2402:800::1", 8000),
        ("http://xn--i-qua.vn/#t", "xn--i-qua.vn", 80),
    ],
)
def test_an_address_is_read(url: str, host: str, port: int) -> None:
    assert target(url) == Target(url.partition("#")[0], host, port)


@pytest.mark.parametrize(
    "url",
    [
        "", "dai.vn", "//dai.vn/", "ftp://dai.vn", "file:///etc/passwd", "gopher://dai.vn",
        "javascript:alert(1)", "http://", "http://:80", "http://a@dai.vn", "http://a:b@dai.vn",
        "http://dai.vn:0", "http://dai.vn:65536", "http://dai.vn:x", "http://dai vn",
        "http://dai.vn\\@inside", "http://dai.vn\r\nHost: inside", "http://đài.vn", "http://a..b",
        "http://-a.vn", "http://[::1", "http://[dai.vn]", "http://[fe80::1%25eth0",
        # What a resolver takes for 127.0.0.1, and does not look like it.
        "http://2130706433", "http://0x7f000001", "http://0x7f.1", "http://127.1",
        "http://0177.0.0.1", "http://127.0.0.1.", "http://0x", "http://１２７.0.0.1",
        "http://dai.vn/" + LONGEST * "x",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_public_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"địa chỉ|cổng"):
        target(url)


@given(inside)
def test_an_address_inside_is_not_connected_to(address: IPv4Address | IPv6Address) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    with pytest.raises(ValueError, match="Internet"):
        pinned(target(f"http://{host}/"), [PUBLIC])


@given(st.lists(st.just(PUBLIC) | inside, max_size=4))
def test_a_name_is_connected_to_when_all_that_it_means_is_public(
    answers: list[IPv4Address | IPv6Address],
) -> None:
    aim = target("https://dai.vn/")
    if answers and all(answer == PUBLIC for answer in answers):
        assert pinned(aim, answers) == PUBLIC
    else:
        with pytest.raises(ValueError, match=r"Internet|không tìm thấy"):
            pinned(aim, answers)


def test_a_network_of_the_province_can_be_allowed_and_no_more_than_it() -> None:
    aim, ours = target("http://dai.noi-bo/"), [IPv4Network("10.9.0.0/16")]
    assert pinned(aim, [IPv4Address("10.9.1.1")], ours) == IPv4Address("10.9.1.1")
    with pytest.raises(ValueError, match="Internet"):
        pinned(aim, [IPv4Address("10.8.1.1")], ours)


def test_a_name_that_means_something_else_a_moment_later_does_not_matter() -> None:
    """DNS rebinding: what was looked at is what is connected to."""
    answers = iter([[PUBLIC], [IPv4Address("127.0.0.1")]])
    aim = target("http://rebinding.example/")
    chosen = pinned(aim, next(answers))
    assert chosen == PUBLIC
    with pytest.raises(ValueError, match="Internet"):
        pinned(aim, next(answers))


@pytest.mark.parametrize(
    ("location", "there"),
    [
        ("/other", "https://dai.vn/other"),
        ("other", "https://dai.vn/live/other"),
        ("//cdn.vn/x", "https://cdn.vn/x"),
        ("https://cdn.vn/x", "https://cdn.vn/x"),
    ],
)
def test_a_redirect_is_followed(location: str, there: str) -> None:
    assert redirected(target("https://dai.vn/live/1"), location).url == there


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "http://dai.vn/", "https://a:b@dai.vn/", "https://0x7f.1/",
     "https://127.1/", "javascript:1", "https://[::1/"],
)  # fmt: skip
def test_a_redirect_leads_to_nowhere_else(location: str) -> None:
    with pytest.raises(ValueError, match=r"địa chỉ|https"):
        redirected(target("https://dai.vn/live/1"), location)


def test_a_redirect_inside_is_pinned_as_little_as_any_other() -> None:
    there = redirected(target("http://dai.vn/"), "http://169.254.169.254/latest/meta-data")
    with pytest.raises(ValueError, match="Internet"):
        pinned(there, [PUBLIC])
