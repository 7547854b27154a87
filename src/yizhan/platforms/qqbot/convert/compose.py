"""A message to parts. Pure."""

from __future__ import annotations

from yizhan.errors import Unsupported
from yizhan.model import Message, Target
from yizhan.platforms.adapter import Part
from yizhan.platforms.qqbot.convert.guild import GuildComposer
from yizhan.platforms.qqbot.convert.scene import SceneComposer
from yizhan.platforms.qqbot.wire import SCENES
from yizhan.platforms.rules import Rules

KINDS = ("user", "group", "channel", "dm")


def compose(message: Message, target: Target, rules: Rules) -> tuple[Part, ...]:
    """Return the parts that carry `message`, in order.

    Raises:
        Unsupported: this kind of target takes no such segment; the text names an alternative.
        MediaFormat, MediaTooLarge: the platform would refuse the file; the text names the rule.
    """
    if target.kind not in KINDS:
        raise Unsupported(f"{target}: QQ bots reach {', '.join(KINDS)}, not '{target.kind}'.")
    composer = (SceneComposer if target.kind in SCENES else GuildComposer)(message, target, rules)
    parts = composer.compose(message)
    if message.reply is not None and rules.limited:
        _check_answers(len(parts), target, rules)
    return parts


def _check_answers(count: int, target: Target, rules: Rules) -> None:
    name = f"passive.{target.kind}.count"
    most = rules.number(name)
    if most and count > most:
        raise Unsupported(
            f"{target}: an answer has at most {most} messages (rule {name}, profile {rules.profile}), this needs "
            f"{count}. Shorten it, send the text as a file, or send it without `reply`."
        )
