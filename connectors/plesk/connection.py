"""One subscription at Plesk, as the engine sees it: streams, looking, writing, and looking up what is in doubt."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

from migrator.connector import Finding, Native, Outcome, Raw, Unit, Written
from migrator.connectors.panels.attempts import Attempt, findings
from migrator.delivery import Deliverer

from . import records
from .mailing import Autoresponders, Forwarders, Mailboxes
from .tasks import CHANNEL
from .writing import Aliases, CatchAlls, Databases, FtpUsers, Grants, Jobs, Sites, Users, Websites, Writer
from .zones import Zones

ZONES = ("zone", "record_set")
PART = {"mailbox": "box", "alias": "forwards", "autoresponder": "answers", "website": "hosted"}

WRITERS: Mapping[str, type[Writer]] = {
    "domain": Sites, "website": Websites, "catch_all": CatchAlls, "mailbox": Mailboxes, "alias": Forwarders,
    "autoresponder": Autoresponders, "database": Databases, "database_user": Users, "database_grant": Grants,
    "ftp_account": FtpUsers, "cron_job": Jobs,
}  # fmt: skip


class Connection(Zones):
    """One subscription of one Plesk server."""

    def others(self, stream: str) -> list[Raw]:
        """Return the records of a stream that is no zone's."""
        return self._raws(stream, self._all(stream))

    def _raws(self, stream: str, bodies: Iterable[Native]) -> list[Raw]:
        found = [Raw(str(body["id"]), json.dumps(body, ensure_ascii=False).encode()) for body in bodies]
        return self._sealed(stream, sorted(found, key=lambda raw: (len(raw.id), raw.id)))

    def _all(self, stream: str) -> Iterable[Native]:
        read: dict[str, Callable[[], Iterable[Native]]] = {
            "site": self.sites, "site_alias": self.aliases, "mail": self.mail_accounts,
            "mail_alias": lambda: records.further_names(self.mail_accounts()), "database": self.databases,
            "database_user": self.database_users, "ftp_user": self.ftp_users,
            "cron": self.tasks.listed if CHANNEL in self.channels else list,
        }  # fmt: skip
        return read[stream]()

    def count(self, stream: str) -> int | None:
        """Return nothing: Plesk counts for nobody."""
        return None

    def peek(self, kind: str, variant_name: str, targets: Sequence[tuple[str, str | None]]) -> tuple[str, list[Raw]]:
        """Return the stream of a kind's variant and the records there as they stand now."""
        if kind in ZONES:
            return super().peek(kind, variant_name, targets)
        variant = self.mapping.variant(kind, variant_name)
        ids = list(dict.fromkeys(there.removeprefix(variant.prefix) for there, _ in targets))
        if variant.stream == "mail" and len(ids) == 1:
            one = self.mail_account(ids[0])
            return variant.stream, self._raws("mail", [one] if one else [])
        held = [one for one in self._all(variant.stream) if str(one["id"]) in set(ids)]
        return variant.stream, self._raws(variant.stream, held)

    def look(self, unit: Unit) -> Native | None:
        """Return the record as it stands now, None where it, or the part of it that counts, is gone."""
        if unit.kind in ZONES:
            return super().look(unit)
        found = Deliverer.look(self, unit)
        part = PART.get(unit.kind)
        if found is None or (part and not found.get(part)):
            return None
        return None if unit.kind == "catch_all" and found.get("catch") != "forward" else found

    def check(self) -> list[Finding]:
        """Sign in, find the subscription, and try a list of each sort."""
        first = f"subscription {self.main}"
        tries: list[Attempt] = [(first, lambda: self.webspace)]
        streams = [stream for stream in self.streams() if stream not in ("zones", "record_sets", "mail_alias")]
        tries += [
            (stream, partial(self._all, stream)) for stream in streams if stream != "cron" or CHANNEL in self.channels
        ]
        return findings(tries, ends=lambda what: what == first)

    # ---- writing ----------------------------------------------------------------------------------------------------

    def write(self, units: Sequence[Unit]) -> list[Outcome]:
        """Carry out units of one kind, variant and action."""
        if units[0].kind in ZONES:
            return super().write(units)
        return self._writer(units[0]).write(units)

    def _writer(self, unit: Unit) -> Writer:
        prefix = self.mapping.variant(unit.kind, unit.variant).prefix
        other = unit.kind == "domain" and unit.variant == "alias"
        return (Aliases if other else WRITERS[unit.kind])(self, prefix)

    def time(self) -> datetime:
        """Return the time by the server's clock."""
        return Deliverer.time(self)

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made: by name, login, address; a zone by what its template left in it."""
        if units[0].kind == "zone" and units[0].action == "create":
            return [Written(n) if not self._of_template(n := str(unit.payload["name"])) else None for unit in units]
        if units[0].kind in ZONES:
            return super().find(units, known)
        return [
            self._stands(unit) if unit.action != "create" else self._writer(unit).found(unit, known) for unit in units
        ]

    def complaint(self, kind: str, payload: Native) -> str | None:
        """Return why a website would not be taken: its PHP version is not there."""
        wanted = str(payload.get("php_version") or "")
        if kind != "website" or not wanted or not self.versions or wanted in self.versions.values():
            return None
        return f"Plesk has no PHP {wanted} here, but {', '.join(sorted(set(self.versions.values())))}"
