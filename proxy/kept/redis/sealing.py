"""What stands in the server, so that who reads it there learns nothing from it.

All secrets come from one: `[store] key`, or a random one that the server keeps, which
protects only from those who see parts of what is there. Names are keyed hashes; all
else is sealed by AES-GCM: heads, IDs, and what streams contain, where IDs stand, too.

Each stream has a key of its own. So random nonces do not meet (NIST SP 800-38D §8.3),
and what belongs to one stream is not taken for a part of another.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_BYTES: Final = 32
NONCE_BYTES: Final = 12


class SealBroken(Exception):
    """It was sealed by another key, or has been changed."""


class Sealing:
    """The secrets of one store."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.prints = derived(secret, b"fingerprints of clients")
        self.names_key = derived(secret, b"names of keys")
        self.streams_key = derived(secret, b"streams")
        self.ids_key = derived(secret, b"ids of streams")
        self.ids = AESGCM(derived(secret, b"sealed ids of streams"))

    def stream_name(self, id: bytes) -> bytes:
        """What a stream is called in the server."""
        return blake2b(id, key=self.names_key, digest_size=16).hexdigest().encode()

    def name_of(self, kind: str, route: str, value: bytes, who: bytes) -> bytes:
        """What a name of streams is called in the server."""
        parts = (kind.encode(), route.encode(), value, who)
        text = b"".join(b"%d:%b" % (len(part), part) for part in parts)
        return blake2b(text, key=self.names_key, digest_size=16).hexdigest().encode()

    def of_stream(self, id: bytes) -> StreamSeal:
        """What seals the parts of one stream."""
        key = blake2b(id, key=self.streams_key, digest_size=32).digest()
        return StreamSeal(key)

    def seal_id(self, id: bytes) -> bytes:
        """An ID as it stands in a name: the same one each time.

        So its nonce is made of it, which no other ID then has (as RFC 5297 does).
        """
        nonce = blake2b(id, key=self.ids_key, digest_size=NONCE_BYTES).digest()
        return nonce + self.ids.encrypt(nonce, id, b"id")

    def open_id(self, sealed: bytes) -> bytes:
        """The ID.

        Raises:
            SealBroken: it is not one that was sealed by the same secret.
        """
        return opened(self.ids, sealed, b"id")


class StreamSeal:
    """Seals and opens what belongs to one stream. `what`: which part of it."""

    __slots__ = ("cipher",)

    def __init__(self, key: bytes) -> None:
        self.cipher = AESGCM(key)

    def seal(self, data: bytes, what: bytes) -> bytes:
        """For the server."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self.cipher.encrypt(nonce, data, what)

    def open(self, sealed: bytes, what: bytes) -> bytes:
        """From the server.

        Raises:
            SealBroken: it is not this part of this stream.
        """
        return opened(self.cipher, sealed, what)

    def seal_content(self, data: bytes, end: int) -> bytes:
        """Bytes of the stream up to a position."""
        return self.seal(data, b"%d" % end)

    def open_content(self, data: bytes, end: int) -> bytes:
        """The same from the server.

        Raises:
            SealBroken: they are others.
        """
        return self.open(data, b"%d" % end)


def opened(cipher: AESGCM, sealed: bytes, what: bytes) -> bytes:
    """What was sealed.

    Raises:
        SealBroken: it was not, or not by this key.
    """
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], what)
    except (InvalidTag, ValueError):
        raise SealBroken from None


def derived(secret: bytes, purpose: bytes) -> bytes:
    """A key for one purpose (RFC 5869)."""
    info = b"unbuffered store 1: " + purpose
    return HKDF(SHA256(), length=SECRET_BYTES, salt=None, info=info).derive(secret)
