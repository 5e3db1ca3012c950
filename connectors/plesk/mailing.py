"""Mail accounts at Plesk: a mailbox, a forwarder and an autoresponder share one, and come and go each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from migrator.connector import Native, Outcome, Unit, Written
from migrator.errors import RefusedError

from . import records
from .api import EXISTS
from .packets import Operation, Result, operation
from .writing import Writer

PARTS = ("box", "forwards", "answers")  # of an account: with none of them left it has no use


class Accounts(Writer):
    """What every part of an account does alike."""

    part = ""

    def address(self, unit: Unit) -> str:
        """Return the account's address."""
        return (self.bare(unit) or str(unit.payload["address"])).lower()

    def site(self, address: str) -> str:
        """Return the number of the site that an address is of. Raises RefusedError where there is none."""
        domain = address.rpartition("@")[2]
        site_id = self.at.site_of(domain)
        if not site_id:
            raise RefusedError(f"{address}: Plesk has no site {domain} here; an alias has the addresses of its site")
        return site_id

    def mail(self, address: str, *settings: Any, way: str = "set") -> Operation:
        """Return the creation or the change of an account."""
        return records.mail(self.site(address), address.rpartition("@")[0], *settings, way=way)

    def taken(self, address: str, *off: Any) -> list[Operation]:
        """Return what takes this part away: the whole account where no other part is in it."""
        held = self.at.mail_account(address)
        if held is None or not held.get(self.part):
            return []
        if any(held.get(part) for part in PARTS if part != self.part):
            return [self.mail(address, *off)]
        return [operation("mail", "remove", records.about(self.site(address), address.rpartition("@")[0]))]

    def done(self, unit: Unit, results: Sequence[Result]) -> Outcome:
        """Return the part, which is named by its address."""
        return Written(unit.there or self.prefix + self.address(unit))

    def found(self, unit: Unit, known: set[str]) -> Written | None:
        """Tell whether the part is there as it shall be."""
        held = self.at.mail_account(self.address(unit))
        there = held is not None and bool(held.get(self.part)) and self.same(held, unit.payload)
        return Written(self.prefix + self.address(unit)) if there else None

    def same(self, held: Native, told: Native) -> bool:
        """Tell whether what is there is what was told."""
        raise NotImplementedError


class Mailboxes(Accounts):
    """Mailboxes, several a packet."""

    part = "box"

    def asked(self, unit: Unit) -> list[Operation]:
        """Make an account with a mailbox, change its quota, or take the mailbox away."""
        address, told = self.address(unit), unit.payload
        if unit.action == "delete":
            return self.taken(address, records.mailbox(None, on=False))
        if unit.action == "update":
            return [self.mail(address, records.mailbox(told.get("quota")))] if "quota" in told else []
        settings = (records.mailbox(told.get("quota")), records.secret(told.get("hash")))
        return [self.mail(address, *settings, way="create")]

    def refused(self, unit: Unit, result: Result) -> Outcome:
        """Open a mailbox in an account that only forwards: two parts are one account here."""
        if unit.action == "create" and result.code == EXISTS:
            held = self.at.mail_account(self.address(unit))
            if held is not None and not held["box"]:
                settings = (records.mailbox(unit.payload.get("quota")), records.secret(unit.payload.get("hash")))
                [some] = self.at.api.write([self.mail(self.address(unit), *settings)])
                return self._came_to(unit, [some]) if some and some[0].ok else None
        return super().refused(unit, result)

    def same(self, held: Native, told: Native) -> bool:
        """Compare the quota: whose password it is cannot be seen."""
        return str(held.get("quota") or "") == str(told.get("quota") or "")


class Forwarders(Accounts):
    """Forwarders. Where the address has a mailbox Plesk leaves a copy in it, where it has none it does not."""

    part = "forwards"

    def asked(self, unit: Unit) -> list[Operation]:
        """Switch forwarding on, change where it goes, or switch it off."""
        address, told = self.address(unit), unit.payload
        if unit.action == "delete":
            return self.taken(address, records.forwarding([], on=False))
        held = self.at.mail_account(address)
        if "box" in told and bool(told["box"]) != bool(held and held["box"]):
            why = "keeps a copy of all it forwards" if held and held["box"] else "is no mailbox, and keeps no copy"
            raise RefusedError(f"{address} {why} at Plesk")
        if unit.action == "update":
            return [self.mail(address, records.forwarding(told["to"]))] if "to" in told else []
        if held is not None:
            return [self.mail(address, records.forwarding(told["to"]))]
        return [self.mail(address, records.mailbox(None, on=False), records.forwarding(told["to"]), way="create")]

    def same(self, held: Native, told: Native) -> bool:
        """Compare where it goes."""
        return sorted(held["to"]) == sorted(told.get("to") or ())


class Autoresponders(Accounts):
    """Autoresponders."""

    part = "answers"

    def asked(self, unit: Unit) -> list[Operation]:
        """Set, change or switch off the answer of an account that is there."""
        address = self.address(unit)
        if unit.action == "delete":
            return self.taken(address, records.autoresponder({}, on=False))
        held = self.at.mail_account(address) if unit.action == "update" else {}
        return [self.mail(address, records.autoresponder({**(held or {}), **unit.payload}))]

    def same(self, held: Native, told: Native) -> bool:
        """Compare the answer's text."""
        return str(held.get("text") or "") == str(told.get("text") or "")
