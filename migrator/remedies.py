"""What to do about a refused record, by what the vendor, or the load itself, said of it. Knows no vendor."""

from __future__ import annotations

import re

# The first that is found in an answer. An answer begins "POST /tickets: refused (422)"; within a job it is 422 too.
REMEDIES: tuple[tuple[str, str], ...] = (
    (r"was not written", "its parent comes first: correct that record; `migrator retry` takes this one along"),
    (r"was changed at", "people changed it since the plan looked at it: `migrator retry` looks again"),
    (r"is no longer there", "it was deleted at the destination: `migrator retry` plans what is to become of it"),
    (r"refused \(401", "the credentials were refused: `migrator check`, then `migrator retry --same`"),
    (r"refused \(403", "a right is missing: grant it to the token's owner, then `migrator retry --same`"),
    (r"refused \((404|410)", "the address names nothing: what it belongs to was deleted there; `migrator retry`"),
    (r"refused \(409", "there is one alike already: change one of the two, extract again, then `migrator retry`"),
    (r"refused \(413", "larger than the vendor takes: shorten the record at the source, extract again, then retry"),
    (r"refused \((415|405|501)", "the account or its plan does not offer this: ask the vendor, then retry --same"),
    (
        r"refused \((400|422)|within a job",
        "a value was refused: change it in the overlay or in the record (then extract again), or allow it at the "
        "destination; then `migrator retry`, or where the destination changed, `migrator retry --same`",
    ),
    (r"attachment|larger than", "the file cannot go: hand it over by another way"),
)
OTHERWISE = "read the answer; correct the overlay, the record or the destination, then `migrator retry`"

MOVED = r"was changed at|is no longer there|refused \((404|410)"  # looking at the destination again makes another plan


def moved(answer: str) -> bool:
    """Tell whether the destination is another than the plan took it for."""
    return re.search(MOVED, answer) is not None


def remedy(answer: str) -> str:
    """Return in words what a person can do."""
    return next((what for pattern, what in REMEDIES if re.search(pattern, answer)), OTHERWISE)


def status(answer: str) -> int | None:
    """Return the HTTP status an answer tells of; None where the vendor was not even asked."""
    found = re.search(r"refused \((\d{3})", answer)
    return int(found[1]) if found else 422 if "refused within a job" in answer else None
