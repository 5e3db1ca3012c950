"""What stands in a secret's place: a fingerprint, or a sealed text of which people see the scheme and a mark.

A fingerprint tells whether two secrets are the same and nothing else; a person enters the secret again. A sealed text
(``vault`` makes and opens it) also tells what a plan must know: the secret's scheme, such as SHA512-CRYPT.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

SEALED = "⟦secret "  # begins every fingerprint
SEAL = re.compile(r"⟦secret [0-9a-f]{8}⟧")
SEALED_TEXT = re.compile(r"⟦sealed ([A-Z0-9-]+) ([0-9a-f]{8}) ([A-Za-z0-9_-]+)⟧")  # scheme, mark, what was sealed
TELLING = re.compile(r"authorization|passw|secret|token|api[-_]?key|credential", re.IGNORECASE)

SCHEMES = {  # crypt(5), glibc and libxcrypt; MySQL's own (SHA1 of SHA1); each as RE2 and Python read it
    "SHA512-CRYPT": r"\$6\$.+",
    "SHA256-CRYPT": r"\$5\$.+",
    "BLF-CRYPT": r"\$2y\$.+",
    "BCRYPT": r"\$2[abx]?\$.+",
    "YESCRYPT": r"\$y\$.+",
    "ARGON2": r"\$argon2(?:id?|d)\$.+",
    "APR1-MD5": r"\$apr1\$.+",
    "MD5-CRYPT": r"\$1\$.+",
    "MYSQL-NATIVE": r"\*[0-9A-F]{40}",
}
NAMED = re.compile(r"\{([A-Za-z0-9-]{1,20})(?:\.(?:HEX|hex|B64|b64|BASE64|base64))?\}")  # as Dovecot writes it before
OTHERS = frozenset(  # Dovecot's names of schemes that no crypt(3) reads; a brace may also begin somebody's password
    "PLAIN CLEARTEXT CRYPT DES-CRYPT SHA SHA1 SHA256 SHA512 SSHA SSHA256 SSHA512 SMD5 LDAP-MD5 PLAIN-MD5 PBKDF2 ARGON2I"
    " ARGON2ID SCRAM-SHA-1 SCRAM-SHA-256 CRAM-MD5 DIGEST-MD5 NTLM LANMAN".split()
)


def scheme(secret: str) -> str:
    """Return the name of a secret's scheme and nothing else of it; UNKNOWN where it has none that is known."""
    sealed_ = SEALED_TEXT.fullmatch(secret)
    if sealed_:
        return sealed_[1]
    named = NAMED.match(secret)
    bare = secret[named.end() :] if named else secret
    for called, form in SCHEMES.items():
        if re.fullmatch(form, bare):
            return called
    if secret.startswith("-----BEGIN "):
        return "PEM"
    said = named[1].upper() if named else ""
    return said if said in OTHERS else "UNKNOWN" if secret else ""


def of_schemes(names: Iterable[str]) -> str:
    """Return the regular expression of whole texts that are of one of these schemes, sealed or not."""
    wanted = list(names)
    sealed_ = f"⟦sealed (?:{'|'.join(wanted)}) [^⟧]*⟧"
    return f"{sealed_}|(?:\\{{[A-Za-z0-9.-]{{1,30}}\\}})?(?:{'|'.join(SCHEMES[one] for one in wanted)})"


def shown(text: str) -> str:
    """Return a text for people: of what is sealed in it, scheme and mark."""
    return SEALED_TEXT.sub(r"⟦sealed \1 \2⟧", text) if "⟦sealed " in text else text


def shown_in(data: Any) -> Any:
    """Return data for people, as ``shown`` does every text in it."""
    if isinstance(data, dict):
        return {key: shown_in(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [shown_in(one) for one in data]
    return shown(data) if isinstance(data, str) else data


def fingerprint(secret: str) -> str:
    """Return what stands in a secret's place; 32 bits, so that nobody can try whether a guess is right."""
    if SEAL.fullmatch(secret):
        return secret
    return f"⟦secret {hashlib.blake2b(secret.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}⟧"


def sealed(body: bytes, paths: Sequence[str]) -> bytes:
    """Return a record with every text below ``paths`` (through lists), and under a telling key, sealed."""
    record = json.loads(body)
    for path in paths:
        changed(record, path.split("."), fingerprint)
    telling(record, fingerprint)
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass")


def changed(node: Any, steps: list[str], change: Callable[[str], str]) -> None:
    """Put in place of every text at a path (through lists) or below it what ``change`` makes of it."""
    if isinstance(node, list):
        for one in node:
            changed(one, steps, change)
    elif isinstance(node, dict) and steps[0] in node:
        if len(steps) == 1:
            node[steps[0]] = _all(node[steps[0]], change)
        else:
            changed(node[steps[0]], steps[1:], change)


def telling(node: Any, change: Callable[[str], str]) -> None:
    """Put in place of every text under a key that tells of a secret what ``change`` makes of it."""
    if isinstance(node, list):
        for one in node:
            telling(one, change)
    elif isinstance(node, dict):
        for key, value in node.items():
            if TELLING.search(key):
                node[key] = _all(value, change)
            else:
                telling(value, change)


def _all(node: Any, change: Callable[[str], str]) -> Any:
    if isinstance(node, dict):
        return {key: _all(value, change) for key, value in node.items()}
    if isinstance(node, list):
        return [_all(one, change) for one in node]
    return change(node) if isinstance(node, str) and node else node
