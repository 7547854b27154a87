"""Secrets at rest: AES-GCM under a key that lives beside the store, or comes from the environment."""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from yizhan.errors import ConfigError, StorageError

KEY_VARIABLE = "YIZHAN_KEY"


class Vault:
    """Encrypts and decrypts small values. `what` binds a value to its place: a value moved elsewhere is refused."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(key)
        self._key = key

    @classmethod
    def open(cls, file: Path, *, make: bool = True, key: str | None = None) -> Vault:
        """Take `key` (base64 of 32 bytes), else that of YIZHAN_KEY, else of `file`; `make`: make it if it is missing.

        Raises:
            ConfigError: the key is not one.
            StorageError: it cannot be read, or is missing and none is to be made: the store has another one.
        """
        text = key or os.environ.get(KEY_VARIABLE)
        source = "[store] key" if key else KEY_VARIABLE if text else str(file)
        if text is None:
            if not file.exists() and not make:
                raise StorageError(
                    f"the key of this store, {file}, is missing; its accounts and logins cannot be read without it. "
                    f"Restore the file or set {KEY_VARIABLE}, or start with a new store in another folder."
                )
            text = _read_key(file)
        try:
            secret = base64.b64decode(text.strip(), validate=True)
        except ValueError as error:
            raise ConfigError(f"{source} does not hold a key: expected base64 of 32 bytes.") from error
        if len(secret) != 32:
            raise ConfigError(f"{source} does not hold a key: expected base64 of 32 bytes, it has {len(secret)}.")
        return cls(secret)

    def lock(self, value: bytes, what: str) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + self._cipher.encrypt(nonce, value, what.encode())

    def derived(self, what: str) -> bytes:
        """Return a key for `what` alone, the same for as long as the store keeps its key, which it does not reveal."""
        return hmac.digest(self._key, f"derived for {what}".encode(), "sha256")

    def unlock(self, value: bytes, what: str) -> bytes:
        """Return the plain value.

        Raises:
            StorageError: it was written under another key, or tampered with.
        """
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(value[:12], value[12:], what.encode())
        except (InvalidTag, ValueError, TypeError) as error:
            raise StorageError(
                f"{what} cannot be decrypted: the store was written under another key. Restore its key file "
                f"or set {KEY_VARIABLE}; failing that, add the account again."
            ) from error


def _read_key(file: Path) -> str:
    """Return the text of the key file, making it if need be."""
    try:
        if not file.exists():
            _write_key(file)
        return file.read_text("ascii", "replace")
    except OSError as error:
        raise StorageError(
            f"the key of this store, {file}, cannot be used: {error.strerror}. Give this user the right to read it and "
            f"make room on its disk, or set {KEY_VARIABLE}."
        ) from error


def _write_key(file: Path) -> None:
    """Make a key, unless another process is quicker; the file appears whole and synced, or not at all."""
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as out:
            out.write(base64.b64encode(secrets.token_bytes(32)).decode())
            out.flush()
            os.fsync(out.fileno())
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink()
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
