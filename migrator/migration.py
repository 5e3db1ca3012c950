"""``migration.yaml`` as a person writes it: two accounts, what is to move, and what was decided."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field as Option
from pydantic import field_validator, model_validator

from migrator.addresses import Change
from migrator.documents import Document, Flag
from migrator.narrowing import Narrow
from migrator.parts import is_name
from migrator.select import Select


class Account(Document):
    """One side of the migration. ``secrets`` name where each secret is kept: ``env:NAME`` or ``keyring:SERVICE/USER``.

    ``url`` replaces the vendor's address (a sandbox, a proxy). ``plan``: the vendor's plan, for its quota; ``share``:
    the part of the quota migrator may use; ``per_minute``: a quota the vendor granted. ``options``: the
    connector's own. ``channels``: ways to write beside the vendor's API, which its page describes.
    ``parts``: in place of a vendor, accounts by a name of yours that make up this side together; a kind belongs to the
    first part that has it, or to the one whose ``kinds`` name it.
    """

    vendor: str
    settings: dict[str, str] = {}
    secrets: dict[str, str] = {}
    url: str | None = None
    plan: str | None = None
    share: float = Option(default=1.0, gt=0, le=1)
    per_minute: int | None = Option(default=None, gt=0)
    workers: int = Option(default=4, ge=1, le=32)
    options: dict[str, str] = {}
    channels: tuple[str, ...] = ()
    parts: dict[str, Account] = {}
    kinds: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        """Name an account that is made of parts after their vendors."""
        if not isinstance(value, dict) or not value.get("parts"):
            return value
        if set(value) != {"parts"}:
            raise ValueError("an account made of parts has nothing beside them: what is said, is said of a part")
        parts = value["parts"]
        if not isinstance(parts, dict) or any(isinstance(one, dict) and one.get("parts") for one in parts.values()):
            raise ValueError("parts are accounts by name, and have no parts themselves")
        wrong = next((name for name in parts if not is_name(str(name))), None)
        if wrong is not None:
            raise ValueError(f"the part '{wrong}' is called by small letters and digits, a letter first")
        vendors = dict.fromkeys(str(one.get("vendor")) for one in parts.values() if isinstance(one, dict))
        return {"vendor": "+".join(vendors), **value}

    @field_validator("url")
    @classmethod
    def _names_nobody(cls, value: str | None) -> str | None:
        if value and "@" in value.split("//", 1)[-1].split("/", 1)[0]:
            raise ValueError("an address holds no user or password; name secrets under 'secrets'")
        return value


class Policies(Document):
    """What a person decided. ``people_without_seat``: an unmatched agent becomes a contact, is left to a person, or
    gets a seat of its own (which the vendor charges). ``edited``: what people changed at the destination since we wrote
    it stays where the source changed it too, or is overwritten. ``deleted``: what the source deletes later stays at the
    destination, or is deleted there too.
    """

    people_without_seat: Literal["stand_in", "manual", "create"] = "stand_in"
    preface: Flag = True
    edited: Literal["keep", "overwrite"] = "keep"
    deleted: Literal["keep", "delete"] = "keep"


class Thresholds(Document):
    """Shares of a kind's records that may be lost or left over before a person must say so (``--accept-losses``)."""

    manual: float = 0.05
    dropped: float = 1.0


class Migration(Document):
    """``migration.yaml``. ``cutover``: kind to field to values: what is live at once, which has a plan of its own.
    ``rewrite``: addresses that change on the way. ``narrow``: custom fields that are to be narrower where the records
    prove it. ``key``: where the key is kept that the customer's secrets are sealed with: ``env:``, ``keyring:`` or
    ``file:``.
    """

    name: str
    source: Account
    destination: Account
    policies: Policies = Policies()
    thresholds: Thresholds = Thresholds()
    select: Select = Select()
    overlay: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    cutover: dict[str, dict[str, tuple[str, ...]]] = {}
    rewrite: tuple[Change, ...] = ()
    narrow: tuple[Narrow, ...] = ()
    key: str | None = None

    @field_validator("key")
    @classmethod
    def _is_a_place(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"(env|keyring|file):.", value):
            raise ValueError("write env:VARIABLE, keyring:SERVICE/USER or file:PATH; never the key itself")
        return value
