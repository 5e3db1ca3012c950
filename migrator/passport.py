"""The password passport: whose password goes along as a hash, whose is the new account's already, who sets one again.

It names logins and schemes, never a hash and never a password; nobody is given a password that others have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from migrator.compile import name
from migrator.kinds import Kinds
from migrator.manifest import Manifest
from migrator.seals import scheme
from migrator.stage import Stage

FIELD = "password_hash"
Verdict = Literal["goes along", "is there already", "set again", "not written"]


@dataclass(frozen=True)
class Login:
    """One login and what becomes of its password; ``scheme`` is empty where the source shows no hash."""

    kind: str
    id: str
    login: str
    scheme: str
    verdict: Verdict
    why: str


def passport(stage: Stage, kinds: Kinds, manifest: Manifest) -> Iterator[Login]:
    """Yield every login of the plan in the stage, kind by kind."""
    for kind_name in kinds.in_order():
        kind = kinds.kinds[kind_name]
        if FIELD not in kind.fields or kind_name not in stage.tables_of("canonical"):
            continue
        label = name(kind.label or "id")
        rows = stage.rows(
            f"SELECT c.id, c.{label}, c.{FIELD}, d.action, d.reason, d.variant FROM canonical.{name(kind_name)} c "
            "LEFT JOIN plan.planned d ON d.kind = ? AND d.id = c.id ORDER BY 2, 1",
            kind_name,
        )
        for id, login, hashed, action, reason, variant in rows:
            called = scheme(str(hashed or ""))
            verdict, why = _verdict(manifest, kind_name, variant, called, str(action), reason or "")
            yield Login(kind_name, str(id), str(login or id), called, verdict, why)


def _verdict(
    manifest: Manifest, kind_name: str, variant: str | None, called: str, action: str, reason: str
) -> tuple[Verdict, str]:
    title = manifest.title
    if action in ("skip", "manual", "None"):
        return "not written", reason
    if action != "create":
        return "is there already", f"the login is at {title} already, with a password of its own"
    write = manifest.write(kind_name, variant)
    keep = write.fields.get(FIELD) if write else None
    if not called:
        return "set again", "the old account shows no hash of it"
    if keep is None or keep.write == "never":
        return "set again", f"{title} takes no hash"
    if keep.schemes and called not in keep.schemes:
        return "set again", f"{title} takes no {called}"
    return "goes along", f"{title} takes {called} as it is"
