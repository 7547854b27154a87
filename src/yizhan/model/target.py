"""Targets: `platform.account/kind/id`, the same notation in library, command line, API and console."""

from __future__ import annotations

import re

from msgspec import Struct

from yizhan.errors import UnknownTarget

_TARGET = re.compile(r"(?P<platform>[a-z][a-z0-9]*)\.(?P<name>[\w-]+)/(?P<kind>[a-z]+)/(?P<id>\S.*)", re.DOTALL)
_ACCOUNT = re.compile(r"[a-z][a-z0-9]*\.[\w-]+")


class Target(Struct, frozen=True, order=True):
    """One person, group or channel, as one account reaches it. Contains no secret."""

    account: str
    """`platform.name`, such as `qqbot.main`."""
    kind: str
    """`user`, `group`, `channel` or `dm`, as far as the platform has them."""
    id: str

    @property
    def platform(self) -> str:
        return self.account.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.account}/{self.kind}/{self.id}"

    @classmethod
    def parse(cls, text: str | Target) -> Target:
        """Parse `platform.account/kind/id`, the form that `str` returns.

        Raises:
            UnknownTarget: `text` has another form.
        """
        if isinstance(text, Target):
            return text
        if not isinstance(text, str):
            raise UnknownTarget(f"A target is text or a Target, not {type(text).__name__}.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UnknownTarget(
                f"The target {text!a} holds half a character at position {error.start}; ids are whole Unicode text."
            ) from error
        match = _TARGET.fullmatch(text.strip())
        if match is None:
            raise UnknownTarget(
                f"'{text}' is not a target. Expected platform.account/kind/id, such as qqbot.main/group/GROUP_OPENID "
                "or webwechat.me/user/filehelper; @name for a saved contact, #tag for an audience."
            )
        return cls(f"{match['platform']}.{match['name']}", match["kind"], match["id"])


def is_account_name(text: object) -> bool:
    """Whether `text` has the form of an account name (`platform.name`)."""
    return isinstance(text, str) and _ACCOUNT.fullmatch(text) is not None


def check_account_name(text: str) -> str:
    """Return `text` if it is a well-formed account name (`platform.name`).

    Raises:
        UnknownTarget: it is not.
    """
    if not is_account_name(text):
        raise UnknownTarget(f"{text!a} is not an account name. Expected platform.name, such as qqbot.main.")
    return text
