"""Secrets by name, from the environment or the keyring, which only this module imports."""

from __future__ import annotations

import os

from migrator.errors import AccessError


def secret(where: str, what: str) -> str:
    """Return a secret from the environment or the keyring. Raises AccessError, naming the place and never the value."""
    scheme, _, name = where.partition(":")
    if scheme == "env":
        if not os.environ.get(name):
            raise AccessError(f"{what}: the environment variable {name} is not set; export it and try again")
        return _one_line(os.environ[name], what, name)
    import keyring

    service, _, user = name.partition("/")
    found = keyring.get_password(service, user)
    if not found:
        raise AccessError(f"{what}: the keyring holds nothing for {service}/{user}; `keyring set {service} {user}`")
    return _one_line(found, what, f"{service}/{user}")


def _one_line(found: str, what: str, place: str) -> str:
    """Refuse what no header can carry, here: the HTTP library would show it in its own complaint."""
    if not (found.isascii() and found.isprintable()) or found != found.strip():
        raise AccessError(
            f"{what}: {place} holds more than a secret (a blank, a line break, a letter outside ASCII); store it anew"
        )
    return found
