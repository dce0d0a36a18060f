"""Where a push may go: judged by address when it connects, by spelling when a callback is ordered."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from AntiSSRF.ipaddress_ranges import IPAddressRanges

from service.errors import ConfigurationError

_PUBLIC_PORTS = (80, 443)
_DEFAULT_PORTS = {"http": 80, "https": 443}
# RFC 1035 section 2.3.4, and a port.
_LONGEST_HOST = 260

# IANA gives out public IPv6 addresses from here alone, so that every form outside it that carries an
# IPv4 address (mapped, compatible, NAT64) is refused without being taken apart.
_GLOBAL_UNICAST = IPv6Network("2000::/3")

# What `ipaddress` calls global and no partner is served from: metadata services, AS112, relays and such.
_NOT_PUBLIC = tuple(map(ip_network, IPAddressRanges.recommended_latest))

# RFC 3986 section 2: whatever else is in a URL, two parsers may read in two ways.
_URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{0,5}))?")
_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*")
_NUMERIC_NAME = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")


@dataclass(frozen=True, slots=True)
class AllowedNetworks:
    """Networks that the operator lets pushes reach beside the public internet, on any port."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> AllowedNetworks:
        """Read comma-separated CIDR blocks, such as ``127.0.0.0/8, fd00::/8``.

        Raises ConfigurationError for anything else, host bits among it.
        """
        try:
            return cls(tuple(ip_network(part.strip()) for part in text.split(",") if part.strip()))
        except ValueError as error:
            raise ConfigurationError(reason=f"DIGLOT_ALLOW_NETWORKS can't be used: {error}") from error

    def __contains__(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self.networks)


# A partner's address is vetted at each push, and there are dozens of networks.
@lru_cache(4096)
def vet_address(ip: str, port: int, allowed: AllowedNetworks, *, confined: bool = False) -> str | None:
    """None where a push may connect, else ``address_refused`` or ``port_refused``.

    What is ``confined`` may go to the operator's networks alone.
    """
    address = _unmapped(ip)
    if address in allowed:
        return None
    if confined or not _is_public(address):
        return "address_refused"
    return None if port in _PUBLIC_PORTS else "port_refused"


def find_callback_fault(url: str, allowed: AllowedNetworks) -> str | None:
    """What makes a callback unusable, without asking the DNS: a code, or None.

    ``callback_scheme``, ``callback_host``, ``callback_credentials``, ``callback_fragment``,
    ``callback_address`` or ``callback_port``. A name may still lead to a refused address, which
    `vet_address` finds on connecting.
    """
    scheme = url.partition(":")[0].lower()
    if scheme not in _DEFAULT_PORTS:
        return "callback_scheme"
    if "#" in url:
        return "callback_fragment"
    authority = _find_authority(url)
    if "@" in authority:
        return "callback_credentials"
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        return "callback_host"
    port = int(parts[2] or _DEFAULT_PORTS[scheme])
    if not 0 < port < 65536:
        return "callback_port"
    return _find_host_fault(parts[1], port, allowed)


def host_of(callback: str) -> str:
    """The server that a callback is on, as ``name:port`` in lower case; of an e-mail address, its domain."""
    try:
        parts = urlsplit(callback)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return callback[:_LONGEST_HOST]
    if not parts.hostname:
        return parts.path.rpartition("@")[2].lower()[:_LONGEST_HOST]
    return f"{parts.hostname.removesuffix('.')}:{port}"[-_LONGEST_HOST:]


def server_of(callback: str) -> str:
    """The server of a callback without fault: its name in small letters, or the address that it spells."""
    parts = _AUTHORITY.fullmatch(_find_authority(callback))
    assert parts, callback
    name = parts[1].removesuffix(".").lower()
    return _find_literal(name) or name


def find_plain_fault(url: str, allowed: AllowedNetworks) -> str | None:
    """``callback_plain`` where a password would cross a network that isn't the operator's in the clear.

    For a callback without other faults. Where a name leads is found on connecting, by what is ``confined``.
    """
    if url.lower().startswith("https:"):
        return None
    parts = _AUTHORITY.fullmatch(_find_authority(url))
    literal = parts and _find_literal(parts[1].removesuffix(".").lower())
    is_own = _unmapped(literal) in allowed if literal else bool(allowed.networks)
    return None if is_own else "callback_plain"


def _find_authority(url: str) -> str:
    """RFC 3986 section 3.2; empty where the URL has none that every parser agrees on."""
    try:
        return urlsplit(url).netloc if _URL.fullmatch(url) else ""
    except ValueError:
        return ""


def _find_host_fault(host: str, port: int, allowed: AllowedNetworks) -> str | None:
    name = host.removesuffix(".").lower()
    try:
        address = _find_literal(name)
    except ValueError:
        return "callback_host"
    if address is None:
        return _find_name_fault(name, port, allowed)
    refusal = vet_address(address, port, allowed)
    return refusal and {"address_refused": "callback_address", "port_refused": "callback_port"}[refusal]


def _find_literal(name: str) -> str | None:
    """The address that a host spells, as a resolver reads it: ``127.1``, ``0x7f000001``, ``017700000001``.

    Raises ValueError for a host that is numeric and yet no address.
    """
    if name.startswith("["):
        return str(IPv6Address(name[1:-1]))
    if not _NUMERIC_NAME.fullmatch(name):
        return None
    try:
        return socket.inet_ntoa(socket.inet_aton(name))
    except OSError as error:
        raise ValueError(name) from error


def _find_name_fault(name: str, port: int, allowed: AllowedNetworks) -> str | None:
    if not _NAME.fullmatch(name):
        return "callback_host"
    if name == "localhost" or name.endswith(".localhost"):
        # RFC 6761 section 6.3: always loopback.
        loopback = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
        return None if any(address in allowed for address in loopback) else "callback_address"
    if port not in _PUBLIC_PORTS and not allowed.networks:
        return "callback_port"
    return None


def _unmapped(ip: str) -> IPv4Address | IPv6Address:
    # RFC 4291 section 2.5.5.2: a socket for a mapped address speaks IPv4.
    address = ip_address(ip)
    return getattr(address, "ipv4_mapped", None) or address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if address.version == 6 and address not in _GLOBAL_UNICAST:
        return False
    return (
        address.is_global and not address.is_multicast
        and not any(address in network for network in _NOT_PUBLIC)
    )
