"""Accounts at the gateway, the people they can write to, and the codes that log them in."""

from __future__ import annotations

import base64
import io
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.ohwxapi import wire
from yizhan.wire import Fault
from yizhan.world import Group, Person

SANDBOX = "wxid_sandbox"
FILE_HELPER = "filehelper"


@dataclass(slots=True)
class Account:
    """One WeChat account that the gateway holds."""

    wxid: str
    name: str
    online: bool = True
    left: set[str] = field(default_factory=set)
    """Groups that it is no longer in."""
    blocked: set[str] = field(default_factory=set)
    labels: dict[int, str] = field(default_factory=dict)
    labelled: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Login:
    """A code waiting for a phone. `state` as `QrCodeState.Status`."""

    uuid: str
    wxid: str
    until: float
    state: int = 0


Handler: TypeAlias = Callable[[Account, Any], Awaitable[Any]]
Commands: TypeAlias = list[tuple[wire.Command[Any, Any], Handler]]
"""The commands of a chapter of the server, each with its handler."""


class Accounts:
    """The accounts of one gateway over the world's contacts."""

    def __init__(self, server: SandboxServer, names: list[str], *, manual: bool) -> None:
        self.server = server
        self.world = server.world
        self.network = server.network
        self.manual = manual
        self.names = names or [SANDBOX]
        self.known: dict[str, Account] = {}
        self.logins: dict[str, Login] = {}
        self.reset()

    def reset(self) -> None:
        self.logins.clear()
        self.known = {wxid: Account(wxid, _nickname(wxid)) for wxid in self.names}

    @property
    def first(self) -> Account:
        return next(iter(self.known.values()))

    def online(self) -> Iterator[Account]:
        return (account for account in self.known.values() if account.online)

    def acting(self, wxid: str) -> Account:
        """Return the account that a call names, logged in; a Fault if there is none."""
        account = self.known.get(wxid)
        if account is None:
            raise Fault(wire.NO_ACCOUNT)
        if not account.online:
            raise Fault(wire.OFFLINE)
        return account

    # --- whom it can reach ---

    def kind_of(self, account: Account, id: str) -> Literal["user", "group"]:
        """Return the kind of a recipient; a Fault if the account cannot write to it."""
        if id.endswith("@chatroom"):
            self.group(account, id)
            return "group"
        person = self.network.people.get(id)
        if id != FILE_HELPER and id not in self.known and not (person and person.friends):
            raise Fault(wire.NO_TARGET)
        return "user"

    def group(self, account: Account, id: str) -> Group:
        group = self.network.groups.get(id)
        if group is None or group.gone or id in account.left:
            raise Fault(wire.NO_TARGET)
        return group

    def person(self, id: str) -> Person:
        """Return a person or an account of the gateway; a Fault if there is none."""
        if id in self.known:
            return Person(id, self.known[id].name)
        if id == FILE_HELPER:
            return Person(id, "文件传输助手")
        if id not in self.network.people:
            raise Fault(wire.NO_TARGET)
        return self.network.people[id]

    def name_of(self, id: str) -> str:
        known = self.known.get(id)
        return known.name if known else self.network.people[id].name if id in self.network.people else id

    def in_group(self, group: Group) -> list[Account]:
        """The gateway's own accounts in a group: all of them, but those that left."""
        return [account for account in self.known.values() if group.id not in account.left]

    # --- logging in ---

    def start_login(self, wxid: str) -> Login:
        """Return a new code; it confirms by itself unless logins are manual."""
        login = Login(self.world.hex(20), wxid, self.world.now() + float(self.server.rules["login.seconds"]))
        self.logins[login.uuid] = login
        if not self.manual:
            self._confirm(login)
        return login

    def look(self, uuid: str) -> Login:
        login = self.logins.get(uuid)
        if login is None:
            raise Fault(wire.PARAMETER, "param error: Uuid")
        if login.state in (0, 1) and self.world.now() > login.until:
            login.state = 3
        return login

    def play(self, uuid: str, step: Literal["scan", "confirm", "expire", "cancel"]) -> None:
        if uuid not in self.logins:
            raise LookupError(f"there is no login '{uuid}' at ohwxapi")
        login = self.logins[uuid]
        if step == "confirm":
            self._confirm(login)
        else:
            login.state = {"scan": 1, "expire": 3, "cancel": 4}[step]

    def _confirm(self, login: Login) -> None:
        offline = next((account.wxid for account in self.known.values() if not account.online), "")
        login.wxid = login.wxid or offline or f"wxid_{self.world.hex(14)}"
        login.state = 2
        account = self.known.setdefault(login.wxid, Account(login.wxid, _nickname(login.wxid)))
        account.online = True


def _nickname(wxid: str) -> str:
    return "Yizhan" if wxid == SANDBOX else wxid


def qr_picture(text: str) -> str:
    """Return a QR code that says `text`, as a PNG in Base64."""
    import segno

    picture = io.BytesIO()
    segno.make(text, error="m").save(picture, kind="png", scale=6)
    return base64.b64encode(picture.getvalue()).decode()
