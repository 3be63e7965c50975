"""Which addresses a link may lead to: public ones, and local ones only for a provider that is local itself. Pure.

A link comes from outside, and so does whatever it redirects to; neither may make this machine ask its own services,
its neighbours or a cloud's metadata (169.254.169.254). Source: the IANA special-purpose registries, as the standard
library has them, and RFC 6052 for addresses within addresses.
"""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Literal
from urllib.parse import quote

import msgspec
from yarl import URL

from harvester.errors import RejectedError

Address = IPv4Address | IPv6Address
Kind = Literal["public", "local", "never"]

_PARTS = re.compile(r"(https?://[^/?#\s]+)((?:[/?#].*)?)", re.IGNORECASE | re.DOTALL)
_SENDABLE = "".join(map(chr, range(0x21, 0x7F)))
_NAT64 = IPv6Network("64:ff9b::/96")


def literal(host: str) -> Address | None:
    """Return the address that a host is, None for a name.

    `127.1`, `0x7f000001` and `2130706433` are addresses too: the system's own resolver reads them so.
    """
    bare = host.strip("[]").partition("%")[0].rstrip(".")
    try:
        return ip_address(bare)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(bare))
    except (OSError, ValueError):
        return None


def kind_of(address: Address) -> Kind:
    """Say whether an address is public, local (this machine, a private network), or never to be asked."""
    address = _unwrapped(address)
    if address.is_loopback:
        return "local"
    if address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved:
        return "never"
    if isinstance(address, IPv6Address) and address.is_site_local:
        return "local"
    return "public" if address.is_global else "local"


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address that stands within an IPv6 one, if there is one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


class Reach(msgspec.Struct, frozen=True):
    """Where links of one provider may lead: its own address, if that is local, and by that all local ones."""

    own: frozenset[str] = frozenset()

    @classmethod
    def of(cls, addresses: list[str]) -> Reach:
        """Return the reach of a provider that has these addresses."""
        found = [address for one in addresses if (address := literal(one)) is not None]
        return cls(frozenset(str(_unwrapped(one)) for one in found if kind_of(one) != "public"))

    def allows(self, host: str) -> bool:
        """Say whether an address may be asked, or a name as far as the name itself tells."""
        address = literal(host)
        if address is None:
            return bool(self.own) or not _is_this_machine(host)
        kind = kind_of(address)
        return (
            kind == "public" or (kind == "local" and bool(self.own)) or str(_unwrapped(address)) in self.own
        )


def _is_this_machine(host: str) -> bool:
    return host.lower().rstrip(".").rpartition(".")[2] == "localhost"


def forbidden(host: str) -> RejectedError:
    """Return the error for a host that a link may not lead to."""
    return RejectedError(f"{host}: a local address; a link of a public provider may not lead there")


def read_link(link: str) -> URL:
    """Return a link's address, its letters untouched unless there are some that no address may have.

    Raises:
        RejectedError: It is no address of the web.
    """
    parts = _PARTS.fullmatch(link.strip())
    with suppress(ValueError):
        if parts is not None:
            origin = parts[1] if parts[1].isascii() else str(URL(parts[1]))
            url = URL(origin + quote(parts[2], safe=_SENDABLE), encoded=True)
            if url.host and url.port:
                return url
    raise RejectedError("the link is no address that can be asked")


def next_hop(url: URL, location: str) -> URL:
    """Return where an answer redirects to.

    Raises:
        RejectedError: That is no address of the web, or it leaves a secure connection for an open one.
    """
    with suppress(ValueError, RejectedError):
        target = read_link(str(url.join(URL(location, encoded=True)) if location else ""))
        if target.scheme == "https" or url.scheme == "http":
            return target
    raise RejectedError(f"{url.host}: the link redirects to where it may not lead")
