"""The parts that the composers of all WeChat wires share: written mentions, and cards as XML. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from yizhan.model import Mention, Segment
from yizhan.platforms.kit.composer import Composer
from yizhan.platforms.wechat_xml.words import MENTION, MENTION_END

Card = TypeVar("Card", bound=Segment)

STICKER_MD5 = re.compile("[0-9a-fA-F]{32}")
"""The digest by which WeChat knows a sticker."""
OBJECT_ID = re.compile(r"\d{1,40}")
"""The id of a channel video."""


class WeChatComposer(Composer):
    """Users and groups; mentions are written as `@name` and a narrow space, in groups only."""

    whole = MENTION

    def mention(self, mention: Mention) -> str:
        if self.target.kind != "group":
            self.refuse(mention, "mentions work in a group only")
        return f"@{'所有人' if mention.user == 'all' else mention.name or mention.user}{MENTION_END}"

    def xml(self, card: Card, compose: Callable[[Card], str]) -> str:
        """Return `compose(card)`.

        Raises:
            Unsupported: a field of the card cannot be written as XML, or is missing.
        """
        try:
            return compose(card)
        except ValueError as error:
            self.refuse(card, str(error), "Correct it and send again.")
