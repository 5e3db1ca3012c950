"""Keys and signatures, ed25519: the only module that signs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrator.credentials import secret
from migrator.disk import secret_kept
from migrator.errors import InputError, WorkspaceError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def canonical_json(document: Any) -> bytes:
    """Return the one way to write this document: keys sorted, no blanks, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def holds(document: Any, *, public_key: str, signature: str) -> bool:
    """Tell whether ``signature`` (128 hexadecimal digits) of the document is that key's (64 digits)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not (re.fullmatch(r"[0-9a-f]{64}", public_key) and re.fullmatch(r"[0-9a-f]{128}", signature)):
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), canonical_json(document))
    except (InvalidSignature, ValueError):
        return False
    return True


def signer(where: str | None, own: Path) -> tuple[Ed25519PrivateKey, Path | None]:
    """Return the key to sign with, and its file where it was made now.

    ``where``: env:, keyring: or a PEM file; without it the key in ``own``, which is made where there is none.
    """
    if where is not None and re.match(r"(env|keyring):.", where):
        return _from_text(secret(where, "the certificate's key"), where), None
    file = Path(where) if where is not None else own
    if where is None and not file.exists():
        return _new_key(file), file
    try:
        return _from_pem(file.read_bytes(), str(file)), None
    except OSError as err:
        raise _no_key(str(file), f"cannot be read ({err.strerror})") from err


def _new_key(file: Path) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        secret_kept(file, pem)
    except OSError as err:
        raise WorkspaceError(f"{file} cannot be written: {err}") from err
    return key


def _from_text(text: str, where: str) -> Ed25519PrivateKey:
    """Read a key that fits on one line: 64 hexadecimal digits, or the line between the first and last of a PEM file."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text))
    return _from_pem(f"-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n".encode(), where)


def _from_pem(pem: bytes, where: str) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _no_key(where, "holds no unencrypted private key") from None  # the cause may show the key
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(where, "holds a key of another sort than ed25519")
    return key


def _no_key(where: str, what: str) -> InputError:
    return InputError(what, file=where, remedy="`openssl genpkey -algorithm ed25519 -out FILE` makes one")
