"""What a certificate is known by."""

from __future__ import annotations

import base64
import binascii
import hashlib


def fingerprint(pem: str) -> str | None:
    """Return the sha256 of the first certificate in a PEM, in hexadecimal; None where there is none."""
    body = "".join(pem.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0].split())
    try:
        return hashlib.sha256(base64.b64decode(body, validate=True)).hexdigest() if body else None
    except (binascii.Error, ValueError):
        return None
