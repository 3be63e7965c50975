"""Where links may lead."""

from __future__ import annotations

import pytest
from yarl import URL

from harvester.errors import RejectedError
from harvester.transport.reach import Reach, kind_of, literal, next_hop, read_link


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("93.184.215.14", "public"), ("2606:2800:21f:cb07::1", "public"), ("[2606:2800:21f:cb07::1]", "public"),
        ("127.0.0.1", "local"), ("::1", "local"), ("10.1.2.3", "local"), ("172.16.0.1", "local"),
        ("192.168.1.1", "local"), ("100.64.0.1", "local"), ("fd00:ec2::254", "local"), ("fec0::1", "local"),
        ("192.0.2.1", "local"), ("198.18.0.1", "local"),
        ("169.254.169.254", "never"), ("fe80::1%eth0", "never"), ("0.0.0.0", "never"), ("::", "never"),
        ("224.0.0.1", "never"), ("ff02::1", "never"), ("255.255.255.255", "never"), ("240.0.0.1", "never"),
        ("::ffff:127.0.0.1", "local"), ("::ffff:169.254.169.254", "never"), ("::ffff:93.184.215.14", "public"),
        ("64:ff9b::7f00:1", "local"), ("64:ff9b::a9fe:a9fe", "never"), ("2002:7f00:1::", "local"),
        ("127.1", "local"), ("0x7f.1", "local"), ("017700000001", "local"), ("2852039166", "never"),
        ("127.0.0.1.", "local"),
    ],
)  # fmt: skip
def test_address_is_of_a_kind(host: str, kind: str) -> None:
    """An address is judged by what it is, whatever way it is spelt or wrapped."""
    address = literal(host)
    assert address is not None
    assert kind_of(address) == kind


@pytest.mark.parametrize("host", ["cdn.test", "", "1.2.3.4.5", "dead.beef", "127.0.0.1\0"])
def test_name_is_no_address(host: str) -> None:
    """What is looked up is no address."""
    assert literal(host) is None


def test_reach_of_a_public_provider() -> None:
    """It leads to public addresses and to names, which are judged when they are looked up, not to this machine."""
    reach = Reach.of(["93.184.215.14", "2606:2800:21f:cb07::1"])
    assert reach == Reach.of([]) == Reach()
    assert reach.allows("93.184.215.15")
    assert reach.allows("cdn.test")
    for host in ("127.0.0.1", "10.0.0.1", "localhost", "x.LOCALHOST.", "169.254.169.254", "0.0.0.0"):
        assert not reach.allows(host)


@pytest.mark.parametrize("own", ["127.0.0.1", "10.0.0.8", "::1", "100.100.0.1", "::ffff:10.0.0.8"])
def test_reach_of_a_local_provider(own: str) -> None:
    """It leads to local addresses too, but never to a cloud's metadata."""
    reach = Reach.of([own])
    for host in (own, "127.0.0.1", "192.168.0.1", "localhost", "93.184.215.15", "cdn.test"):
        assert reach.allows(host)
    for host in ("169.254.169.254", "[fe80::1]", "0.0.0.0", "224.0.0.1"):
        assert not reach.allows(host)


def test_provider_may_link_to_itself_wherever_it_is() -> None:
    """A provider's own address is one it may name, of whatever kind it is."""
    reach = Reach.of(["fe80::7%eth0"])
    assert reach.allows("[fe80::7]")
    assert not reach.allows("[fe80::8]")


@pytest.mark.parametrize(
    ("link", "sent"),
    [
        ("https://x.test/a%2Fb?s=%2f+%20&t=~", "https://x.test/a%2Fb?s=%2f+%20&t=~"),
        ("  HTTPS://x.test/a b\n", "https://x.test/a%20b"),
        ("https://x.test/a\r\nHost: y", "https://x.test/a%0D%0AHost:%20y"),
        ("https://bücher.test/é?n=%2F", "https://xn--bcher-kva.test/%C3%A9?n=%2F"),
        ("https://x.test", "https://x.test"),
        ("https://x.test?a=b", "https://x.test?a=b"),
    ],
)
def test_link_keeps_its_letters(link: str, sent: str) -> None:
    """Only what cannot be sent is encoded: a signature is over the letters as they are."""
    assert str(read_link(link)).replace("test/?", "test?").rstrip("/") == sent


@pytest.mark.parametrize(
    "link",
    [
        "",
        "x.test/a",
        "//x.test/a",
        "file:///a",
        "data:,x",
        "https://",
        "https:///a",
        "https://x y/",
        "https://\udcff/",
    ],
)
def test_link_that_is_none_is_refused(link: str) -> None:
    """Only addresses of the web are asked."""
    with pytest.raises(RejectedError):
        read_link(link)


@pytest.mark.parametrize(
    ("url", "location", "to"),
    [
        ("https://x.test/a/b", "c?d=%2F", "https://x.test/a/c?d=%2F"),
        ("https://x.test/a", "/b", "https://x.test/b"),
        ("https://x.test/a", "//y.test/b", "https://y.test/b"),
        ("http://x.test/a", "https://y.test/b", "https://y.test/b"),
        ("http://x.test/a", "http://y.test/b", "http://y.test/b"),
        ("https://x.test/a", "http://x.test/a", None),
        ("https://x.test/a", "file:///etc/passwd", None),
        ("https://x.test/a", "javascript:alert(1)", None),
        ("https://x.test/a", "", None),
        ("https://x.test/a", "http://[bad", None),
    ],
)
def test_redirect_leads_on_or_not(url: str, location: str, to: str | None) -> None:
    """A redirect may be relative and may become secure, never the other way round."""
    if to is not None:
        assert str(next_hop(URL(url), location)) == to
    else:
        with pytest.raises(RejectedError):
            next_hop(URL(url), location)
