"""Buttons as the platform's keyboard. Pure. Source: "消息按钮" (API v2, 2026-09)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from yizhan.model import Button
from yizhan.model.split import split_text
from yizhan.platforms.rules import Rules

Rows = Sequence[Sequence[Button]]

OPEN_ADDRESS, CALL_BACK = 0, 1
LISTED_USERS, ADMINS, EVERYONE = 0, 1, 2
GREY, BLUE = 0, 1
OLD_CLIENT = "请更新QQ后使用"


@dataclass(frozen=True, slots=True)
class Keyboard:
    wire: dict[str, Any]
    note: str = ""
    """A remark for the receipt: labels that had to be cut."""


def keyboard_problem(rows: Rows, rules: Rules) -> str:
    """Return the rule that keeps `rows` from being a keyboard, or the empty string."""
    if not rules["keyboard.allowed"]:
        return "keyboard.allowed"
    if len(rows) > rules.number("keyboard.max_rows"):
        return "keyboard.max_rows"
    if any(len(row) > rules.number("keyboard.max_buttons") for row in rows):
        return "keyboard.max_buttons"
    return ""


def keyboard_of(rows: Rows, rules: Rules) -> Keyboard:
    """Return `rows` as a keyboard; buttons are numbered from 1, which is their id."""
    most = rules.number("keyboard.label_max_chars")
    cut: list[str] = []

    def label(text: str) -> str:
        if most and len(text) > most:
            cut.append(text)
            return split_text(text, most - 1)[0] + "…"
        return text

    numbers = iter(range(1, 1 + sum(len(row) for row in rows)))
    wire_rows = [{"buttons": [_button(str(next(numbers)), button, label) for button in row]} for row in rows]
    note = (
        f"QQ shows {most} characters on a button (rule keyboard.label_max_chars); cut: {', '.join(cut)}" if cut else ""
    )
    return Keyboard({"content": {"rows": wire_rows}}, note)


def _button(id: str, button: Button, label: Any) -> dict[str, Any]:
    shown = {
        "label": label(button.text),
        "visited_label": label(button.pressed_text or button.text),
        "style": BLUE if button.highlighted else GREY,
    }
    action = {
        "type": OPEN_ADDRESS if button.url else CALL_BACK,
        "permission": _permission(button),
        "data": button.url or button.data or button.text,
        "unsupport_tips": OLD_CLIENT,
    }
    return {"id": id, "render_data": shown, "action": action}


def _permission(button: Button) -> dict[str, Any]:
    if button.users:
        return {"type": LISTED_USERS, "specify_user_ids": list(button.users)}
    return {"type": ADMINS if button.admins_only else EVERYONE}
