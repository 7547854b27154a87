"""Access to the control calls: programs and the sandbox's own pages may make them, pages of other sites may not.

A page on any site can make its reader's browser call an address of the reader's machine. Two headers reveal it:
`Origin`, which names the site; and `Host`, if the site points its own name here (DNS rebinding).
"""

from __future__ import annotations

from ipaddress import ip_address

from yizhan.wire import HttpRequest

_PRIVATE = (".localhost", ".local", ".internal", ".test", ".home.arpa")
"""Suffixes that cannot be registered in the public DNS."""


def refusal(http: HttpRequest, listening_on: str) -> tuple[str, str] | None:
    """Return why a control call is refused and what would work, or None if it is allowed.

    `listening_on`: the name or address that the sandbox listens on.
    """
    host, origin = http.header("host").lower(), http.header("origin").lower()
    if origin and origin != f"http://{host}":
        return (
            f"a web page of {origin} may not control the sandbox",
            "a call from a program (a script, curl, a test): those send no Origin",
        )
    name = _name(host)
    if name and not _is_local(name, listening_on.lower()):
        return (
            f"control calls are not answered as '{name}': anyone could point that name here",
            "the sandbox's IP address, localhost, or the name given with --host",
        )
    return None


def _name(host: str) -> str:
    """Return the name in a Host header, without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def _is_local(name: str, listening_on: str) -> bool:
    # A name of one word (localhost, a container's name) is never one of the public DNS.
    if name == listening_on or ("." not in name.strip(":") and ":" not in name) or name.endswith(_PRIVATE):
        return True
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
