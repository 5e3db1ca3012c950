"""Secrets inside what a vendor hands over: a fingerprint stands in their place before anything is kept.

A fingerprint tells whether two secrets are the same and nothing else; a person enters the secret again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

SEALED = "⟦secret "  # begins every fingerprint
SEAL = re.compile(r"⟦secret [0-9a-f]{8}⟧")
TELLING = re.compile(r"authorization|passw|secret|token|api[-_]?key|credential", re.IGNORECASE)


def fingerprint(secret: str) -> str:
    """Return what stands in a secret's place; 32 bits, so that nobody can try whether a guess is right."""
    if SEAL.fullmatch(secret):
        return secret
    return f"⟦secret {hashlib.blake2b(secret.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}⟧"


def sealed(body: bytes, paths: Sequence[str]) -> bytes:
    """Return a record with every text below ``paths`` (through lists), and under a telling key, sealed."""
    record = json.loads(body)
    for path in paths:
        _below(record, path.split("."))
    _telling(record)
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _below(node: Any, steps: list[str]) -> None:
    if isinstance(node, list):
        for one in node:
            _below(one, steps)
    elif isinstance(node, dict) and steps[0] in node:
        if len(steps) == 1:
            node[steps[0]] = _all(node[steps[0]])
        else:
            _below(node[steps[0]], steps[1:])


def _telling(node: Any) -> None:
    if isinstance(node, list):
        for one in node:
            _telling(one)
    elif isinstance(node, dict):
        for key, value in node.items():
            if TELLING.search(key):
                node[key] = _all(value)
            else:
                _telling(value)


def _all(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _all(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_all(one) for one in node]
    return fingerprint(node) if isinstance(node, str) and node else node
