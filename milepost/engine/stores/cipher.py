"""Texts that only those can read who have the key: AES-256-GCM, with a key of its own for each run."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from hmac import digest as keyed_digest
from typing import TYPE_CHECKING, Final

from milepost.engine.errors import DamagedStore, InputError, StoreError, WrongKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SEALED: Final = "milepost-sealed:1:"
"""What an encrypted text begins with, before the name of its key; no JSON does, and no hash."""
VARIABLE: Final = "MILEPOST_KEY"
"""The environment variable that holds keys, the newest first."""

_NONCE: Final = 12
_HOW: Final = "openssl rand -base64 32"


def is_sealed(text: str | None) -> bool:
    """Whether a text is encrypted."""
    return text is not None and text.startswith(SEALED)


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def key_name_of(text: str) -> str:
    """Return the name of the key that a text is encrypted with."""
    return text[len(SEALED) :].partition(":")[0]


def keys_from(text: str) -> list[bytes]:
    """Return the keys that a text names: each 32 bytes in base64, separated by commas, the newest first.

    Raises InputError: one of them is no key. It is not repeated in the message.

    >>> keys_from("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=") == [bytes(range(32))]
    True
    """
    return [_key_from(part.strip(), number) for number, part in enumerate(text.split(","), 1)]


def _key_from(text: str, number: int) -> bytes:
    try:
        key = base64.b64decode(text.translate(str.maketrans("-_", "+/")), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise InputError(
            f"Key number {number} is not one: it must be 32 random bytes in base64, e.g. what '{_HOW}' prints. Several "
            "keys are separated by commas, the newest first."
        )
    return key


class Key:
    """One key. name: 8 hexadecimal digits that tell it from others and say nothing about it."""

    def __init__(self, secret: bytes) -> None:
        self.name = blake2b(secret, digest_size=4, person=b"milepost name").hexdigest()
        self._secret = secret
        self._cipher = lru_cache(maxsize=1024)(self._cipher_of)

    def _cipher_of(self, run_id: str) -> AESGCM:
        """Return the cipher of one run: of one key, there may be no more than some billion texts."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(keyed_digest(self._secret, _bytes_of(f"milepost run {run_id}"), "sha256"))

    def seal(self, run_id: str, place: str, text: str) -> str:
        """Return a text encrypted. place: where it belongs; it can be read only as what stands there."""
        nonce = os.urandom(_NONCE)
        sealed = self._cipher(run_id).encrypt(nonce, _bytes_of(text), _bytes_of(place))
        return f"{SEALED}{self.name}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, run_id: str, place: str, sealed: str) -> str | None:
        """Return what was encrypted, None when it is not that text from that place any more."""
        from cryptography.exceptions import InvalidTag

        try:
            whole = base64.b64decode(sealed[len(SEALED) + len(self.name) + 1 :], validate=True)
            return (
                self._cipher(run_id)
                .decrypt(whole[:_NONCE], whole[_NONCE:], _bytes_of(place))
                .decode("utf-8", "surrogatepass")
            )
        except (InvalidTag, ValueError):
            return None

    def hidden(self, name: str) -> str:
        """Return what stands for a name that says something about what was given, e.g. in the cache."""
        return keyed_digest(self._secret, _bytes_of(f"milepost cache {name}"), "sha256").hex()


class KeyRing:
    """Several keys: the first encrypts, all decrypt.

    Raises InputError: there is none. StoreError: the library that encrypts is not installed.
    """

    def __init__(self, secrets: Sequence[bytes]) -> None:
        if not secrets:
            raise InputError(f"To encrypt, a store needs a key: give one, or set {VARIABLE}. '{_HOW}' makes one.")
        for number, secret in enumerate(secrets, 1):
            if len(secret) != 32:
                raise InputError(f"Key number {number} has {len(secret)} bytes; a key has 32, e.g. of os.urandom(32).")
        try:
            import cryptography.hazmat.primitives.ciphers.aead as _  # noqa: F401  # now, not in the middle of a run
        except ImportError as error:
            raise StoreError(
                "To encrypt, a store needs the package cryptography. Install it: pip install 'milepost[encryption]'"
            ) from error
        self.keys = [Key(secret) for secret in secrets]
        self._by_name = {key.name: key for key in self.keys}

    @property
    def newest(self) -> Key:
        """The key that encrypts."""
        return self.keys[0]

    def seal(self, run_id: str, place: str, text: str) -> str:
        """Return a text encrypted with the newest key."""
        return self.newest.seal(run_id, place, text)

    def open(self, run_id: str, place: str, text: str) -> str:
        """Return a text as it was before it was encrypted, or as it is if it is not encrypted.

        Raises WrongKey: its key was not given. DamagedStore: it was changed, or moved from another place.
        """
        if not text.startswith(SEALED):
            return text
        name = key_name_of(text)
        key = self._by_name.get(name)
        if key is None:
            if re.fullmatch(r"[0-9a-f]{8}", name) is None:
                raise DamagedStore(f"run {run_id!r}", f"its {place} is encrypted, but with no key that could be")
            raise WrongKey(
                f"Run {run_id!r} is encrypted with the key {name}, which was not given ({self.names()}). Add it to "
                f"{VARIABLE}, after the newest one. Nothing was changed."
            )
        opened = key.open(run_id, place, text)
        if opened is None:
            raise DamagedStore(f"run {run_id!r}", f"its {place} was changed after it was encrypted")
        return opened

    def is_newest(self, text: str | None) -> bool:
        """Whether a text is encrypted with the newest key."""
        return text is None or text.startswith(f"{SEALED}{self.newest.name}:")

    def names(self) -> str:
        """Return the names of the keys, for a message."""
        return f"given: {', '.join(key.name for key in self.keys)}"
