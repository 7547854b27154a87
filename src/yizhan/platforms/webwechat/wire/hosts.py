"""The host of each role. A login assigns the account to one API host; the other hosts follow from it.

Sources: the browser bundle of 2022-03-01; why2lyj/ItChat-UOS components/login.py; issue thread liuwons/wxBot#130
(mixing the sets gives 1100 on synccheck and empty MediaIds).
"""

from __future__ import annotations

from collections.abc import Mapping

SISTERS = frozenset({"wx.qq.com", "wx2.qq.com", "wx8.qq.com", "web.wechat.com", "web2.wechat.com"})
_OTHERWISE = {"login": "login.weixin.qq.com", "file": "file.wx.qq.com", "push": "webpush.weixin.qq.com"}


def bases(api: str) -> Mapping[str, str]:
    """Return the base URL of every role for an api base such as `https://wx2.qq.com`.

    Any other host than the vendor's (a sandbox, a proxy) serves all roles.
    """
    scheme, _, host = api.rstrip("/").partition("://")
    if not is_vendor(api):
        return dict.fromkeys(("api", "login", "file", "push"), api.rstrip("/"))
    if host in SISTERS:
        roles = {"login": f"login.{host}", "file": f"file.{host}", "push": f"webpush.{host}"}
    else:
        roles = _OTHERWISE
    return {"api": f"{scheme}://{host}", **{role: f"{scheme}://{name}" for role, name in roles.items()}}


def is_vendor(api: str) -> bool:
    """Whether a base URL is one of the vendor's own hosts."""
    host = api.partition("://")[2].partition("/")[0].partition(":")[0]
    return host.endswith((".qq.com", ".wechat.com"))
