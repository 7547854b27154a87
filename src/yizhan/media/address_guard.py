"""Guards downloads against private addresses: only public and explicitly allowed ones are reached.

The check applies to the very address that a socket connects to, not to the spelling of the host or an earlier look-up.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from yizhan.errors import ConfigError, Refused

Address = IPv4Address | IPv6Address

# The special-purpose registries of IANA (IPv4 and IPv6), and addresses of the metadata services of clouds.
_FORBIDDEN_4 = tuple(
    IPv4Network(net)
    for net in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared space of carriers; cloud metadata at 100.100.100.200
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # the host agent of a cloud, on a public address
        "169.254.0.0/16",  # link-local; cloud metadata at 169.254.169.254
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; cloud metadata at 192.0.0.192
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_GLOBAL_6 = IPv6Network("2000::/3")
_FORBIDDEN_6 = tuple(
    IPv6Network(net)
    for net in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: contains an IPv4 address
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
    )
)
_FORBIDDEN_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home.arpa", "localdomain")


class Forbidden(Refused):
    """The address is neither public nor allowed."""


@dataclass(frozen=True)
class AllowList:
    """Hosts, addresses and networks that are allowed although they are not public, each optionally with a port.

    `files.example.test`, `10.1.0.0/16`, `127.0.0.1:8080`, `[::1]:8080`.
    """

    entries: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for entry in self.entries:
            host, _ = _split(entry)
            if "/" in host and _network(host) is None:
                raise ConfigError(f"'{entry}' in the list of allowed addresses is no network. Write it as 10.1.0.0/16.")

    def has_host(self, host: str, port: int) -> bool:
        """Whether a host is allowed by name."""
        wanted = host.lower().rstrip(".")
        return any(
            name.lower().rstrip(".") == wanted and only in (None, port) for name, only in map(_split, self.entries)
        )

    def has_address(self, address: Address, port: int) -> bool:
        """Whether an address is allowed, itself or by its network."""
        for name, only in map(_split, self.entries):
            network = _network(name)
            if network is not None and only in (None, port) and address in network:
                return True
        return False


def check_host(host: str, port: int, allowed: AllowList) -> None:
    """Refuse names that never lead to a public address, before they are looked up.

    Raises:
        Forbidden: the host is such a name.
    """
    name = host.lower().rstrip(".")
    if allowed.has_host(host, port):
        return
    if any(name == bad or name.endswith("." + bad) for bad in _FORBIDDEN_NAMES):
        raise Forbidden(_text(host, host))
    literal = _literal(name)
    if literal is not None:
        check_address(literal, port, allowed, host)


def check_address(address: Address, port: int, allowed: AllowList, host: str) -> None:
    """Refuse an address that is neither public nor allowed.

    Raises:
        Forbidden: it is neither.
    """
    if not is_public(address) and not allowed.has_address(address, port):
        raise Forbidden(_text(host, str(address)))


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, also as the address that an IPv6 address contains."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _FORBIDDEN_4)
    # Mapped, translated and tunneled IPv4 addresses are outside the global range or among its exceptions.
    return address in _GLOBAL_6 and not any(address in network for network in _FORBIDDEN_6)


class GuardedSocketFactory:
    """Creates the sockets of one connection, after checking the address that each is to connect to."""

    def __init__(self, host: str, port: int, allowed: AllowList) -> None:
        self._host = host
        self._port = port
        self._allowed = allowed
        self._by_name = allowed.has_host(host, port)
        self.refused: Forbidden | None = None
        """The reason if a socket was refused: aiohttp sees an OSError and may try another address."""

    def __call__(self, info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not self._by_name:
            self._check(str(address[0]))
        return socket.socket(family, kind, protocol)

    def _check(self, address: str) -> None:
        try:
            check_address(ip_address(address.partition("%")[0]), self._port, self._allowed, self._host)
        except Forbidden as error:
            self.refused = error
            raise ConnectionRefusedError(str(error)) from error


def _literal(host: str) -> Address | None:
    """Return the address in any spelling that systems accept: 127.1, 0x7f000001, 0177.0.0.1, 2130706433, [::1]."""
    bare = host.strip("[]").partition("%")[0]
    try:
        return ip_address(bare)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(bare)) if bare and bare[0].isdigit() else None
    except (OSError, UnicodeError):
        return None


def _split(entry: str) -> tuple[str, int | None]:
    host, colon, port = entry.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        return host.strip("[]"), int(port)
    return entry.strip("[]"), None


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _text(host: str, address: str) -> str:
    what = f"'{host}'" if host == address else f"'{host}' ({address})"
    return (
        f"{what} is not a public address, and media are fetched from public addresses only. "
        "Download the file and pass it, or allow the address: --allow on the command line, "
        "library.trust = Trust.allowing(…) in a program."
    )
