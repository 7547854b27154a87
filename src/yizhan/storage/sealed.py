"""Small values sealed with a passphrase: scrypt makes the key, AES-GCM encrypts under it."""

from __future__ import annotations

import secrets

from yizhan.errors import ConfigError

_SALT, _NONCE = 16, 12
_MARK = b"yizhan sealed 1\n"
_COST, _BLOCK, _LANES = 1 << 16, 8, 1
"""Parameters of scrypt: 64 MB and some tenths of a second for every guess."""


def seal(value: bytes, passphrase: str) -> bytes:
    """Return `value` encrypted; the same passphrase opens it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    return _MARK + salt + nonce + AESGCM(_key(passphrase, salt)).encrypt(nonce, value, _MARK)


def unseal(sealed: bytes, passphrase: str) -> bytes:
    """Return the value.

    Raises:
        ConfigError: the passphrase is another one, or the bytes were changed.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    rest = sealed.removeprefix(_MARK)
    salt, nonce, body = rest[:_SALT], rest[_SALT : _SALT + _NONCE], rest[_SALT + _NONCE :]
    try:
        return AESGCM(_key(passphrase, salt)).decrypt(nonce, body, _MARK)
    except (InvalidTag, ValueError) as error:
        raise ConfigError(
            "The passphrase does not open the key in this backup. Give the one it was made with."
        ) from error


def _key(passphrase: str, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=32, n=_COST, r=_BLOCK, p=_LANES).derive(passphrase.encode())
