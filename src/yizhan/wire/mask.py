"""Secrets out of what is logged, recorded or shown."""

from __future__ import annotations

import re
from typing import Any

_SECRET_NAMES = (
    "access_token|clientsecret|client_secret|secret|secretkey|bot_token|token|authorization|skey|wxsid|sid|"
    "pass_ticket|webwx_data_ticket|webwx_auth_ticket|webwxuvid|context_token|typing_ticket|get_updates_buf|aeskey|"
    "cdnthumbaeskey|aes_key|local_token_list|password|cookie|set-cookie|x-signature-ed25519|ticket|rawfilekey"
)
_NAME = re.compile(rf"^(?:{_SECRET_NAMES})$", re.IGNORECASE)
_PAIR = re.compile(rf"""((?:^|[^\w])["']?(?:{_SECRET_NAMES})["']?\s*[:=]\s*["']?)([^"'&;,\s<>}}]+)""", re.IGNORECASE)
_ELEMENT = re.compile(rf"(<(?:{_SECRET_NAMES})>)[^<]+", re.IGNORECASE)
# iLink's bot tokens name themselves, wherever they stand (in lists, say).
_BOT_TOKEN = re.compile(r"(@im\.bot:)[0-9A-Za-z]{6,}")
_BEARER = re.compile(r"\b(QQBot|Bearer|Bot)\s+(?!\w*=)[A-Za-z0-9._~+/=-]{6,}")


def is_secret(name: str) -> bool:
    """Whether a field, header or cookie of that name is never to be shown."""
    return _NAME.match(name) is not None


def mask_text(text: str) -> str:
    """Return `text` with the values of secret fields replaced by `***`."""
    text = _BOT_TOKEN.sub(r"\1***", text)
    return _ELEMENT.sub(r"\1***", _PAIR.sub(r"\1***", _BEARER.sub(r"\1 ***", text)))


def mask_value(value: Any) -> Any:
    """Return decoded JSON with the values of secret fields replaced by `***`."""
    if isinstance(value, dict):
        return {k: "***" if isinstance(k, str) and is_secret(k) and v else mask_value(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask_value(item) for item in value]
    if isinstance(value, str) and ("?" in value or "<" in value):
        # Addresses and XML inside JSON carry secrets as well.
        return mask_text(value)
    return value
