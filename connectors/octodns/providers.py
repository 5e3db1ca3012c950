"""octoDNS's providers: found by name, refused unless an installed octoDNS package has them, and given arguments."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Mapping
from importlib import metadata, util
from pathlib import Path
from typing import Any

from migrator.errors import InputError

NAMED = re.compile(r"(octodns(?:_[a-z0-9_]+)?)((?:\.[A-Za-z_]\w*)*)\.([A-Z]\w*)")
HIDDEN = re.compile(r"(?i)(token|secret|password|passwd|api_?key|credential|private)")
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def found(named: str) -> type[Any]:
    """Return the class that is named, ``octodns_hetzner.HetznerProvider``.

    Only what belongs to an installed octoDNS package is ever imported: the name comes out of a file, and importing
    runs code. Raises InputError for anything else.
    """
    match = NAMED.fullmatch(named)
    if match is None:
        raise InputError(
            f"octodns: {named[:120]!r} is no provider of octoDNS",
            remedy="name its class as octoDNS does, such as octodns_hetzner.HetznerProvider",
        )
    package, below, name = match.groups()
    _installed(package)
    from octodns.source.base import BaseSource

    try:
        module = importlib.import_module(package + below)
    except ImportError as err:
        raise InputError(f"octodns: {package + below} cannot be imported: {err}") from err
    made = getattr(module, name, None)
    if not (isinstance(made, type) and issubclass(made, BaseSource)):
        raise InputError(f"octodns: {named} is no source and no provider of octoDNS")
    return made


def _installed(package: str) -> None:
    """Raise InputError unless the package that would be imported is the one its own distribution installed."""
    distribution = package.replace("_", "-")
    try:
        files = metadata.distribution(distribution).files or []
    except metadata.PackageNotFoundError:
        raise InputError(
            f"octodns: the package {distribution} is not installed beside migrator",
            remedy=f"pip install migrator[octodns] {distribution}",
        ) from None
    spec = util.find_spec(package)
    origin = Path(spec.origin).resolve() if spec and spec.origin else None
    ours = [Path(str(one.locate())).resolve() for one in files if one.as_posix() == f"{package}/__init__.py"]
    if origin is None or origin not in ours:
        raise InputError(
            f"octodns: {package} would be imported from {origin or 'nowhere'}, which {distribution} did not install"
        )


def arguments(text: str, secrets: Mapping[str, str], given: Callable[[str], str]) -> tuple[dict[str, Any], list[str]]:
    """Return a provider's arguments with its secrets put in, and these secrets alone.

    ``text``: a JSON object; a value that is ``{token}`` and nothing else stands for the secret of that name, one of
    ``secrets``. Raises InputError where it is none, or where a secret stands there itself.
    """
    try:
        told = json.loads(text or "{}")
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise InputError('octodns: settings.arguments is a JSON object, such as {"token": "{token}"}')
    put: dict[str, Any] = {}
    hidden: list[str] = []
    for name, value in told.items():
        placeholder = PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
        if placeholder and placeholder[1] in secrets:
            put[name] = given(placeholder[1])
            hidden.append(put[name])
        elif placeholder:
            raise InputError(f"octodns: {{{placeholder[1]}}} is none of its secrets: {', '.join(secrets)}")
        elif HIDDEN.search(name) and isinstance(value, str):
            raise InputError(
                f"octodns: the argument '{name}' looks like a secret and stands in the file",
                remedy=f'write "{name}": "{{token}}" and add `secrets: {{token: env:SOME_VARIABLE}}`',
            )
        elif name in ("id", "apply_disabled"):
            raise InputError(f"octodns: the argument '{name}' is migrator's own")
        else:
            put[name] = value
    return put, hidden
