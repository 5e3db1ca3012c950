"""Small files of lines with a name and a value."""

from __future__ import annotations

from collections.abc import Iterator


def pairs(text: str, separator: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each line that has both, without a comment's."""
    for line in text.splitlines():
        key, found, value = line.partition(separator)
        if found and key.strip() and not key.startswith("#"):
            yield key.strip(), value.strip()
