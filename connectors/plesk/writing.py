"""What is written to Plesk kind by kind: each unit is some operations of a packet, and has results of its own in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from migrator.connector import Native, Outcome, Unit, Written
from migrator.errors import RefusedError, UnknownOutcomeError

from . import records
from .api import ABSENT
from .packets import Operation, Result, el, operation

if TYPE_CHECKING:
    from .account import Subscription


class Writer:
    """Writes units of one kind, variant and action in one packet. A kind says what it asks, and what that came to."""

    def __init__(self, at: Subscription, prefix: str) -> None:
        self.at, self.prefix = at, prefix

    def asked(self, unit: Unit) -> list[Operation]:
        """Return the operations that carry a unit out. Raises RefusedError."""
        raise NotImplementedError

    def done(self, unit: Unit, results: Sequence[Result]) -> Outcome:
        """Return what a unit came to whose operations all succeeded."""
        return Written(unit.there)

    def found(self, unit: Unit, known: set[str]) -> Written | None:
        """Return what a creation in doubt made."""
        raise NotImplementedError

    def refused(self, unit: Unit, result: Result) -> Outcome:
        """Return what a refused unit came to: what shall go and is gone already is no fault."""
        if unit.action == "delete" and result.code == ABSENT:
            return Written(unit.there)
        return result.refusal(f"{unit.kind} {unit.id}")

    def write(self, units: Sequence[Unit]) -> list[Outcome]:
        """Carry the units out in one packet. Raises as a destination's ``write`` does."""
        asked: list[list[Operation]] = []
        outcomes: list[Outcome] = [None] * len(units)
        for index, unit in enumerate(units):
            try:
                asked.append(self.asked(unit))
            except RefusedError as err:
                outcomes[index] = err
                asked.append([])
        flat = [one for some in asked for one in some]
        answers = iter(self.at.api.write(flat)) if flat else iter(())
        for index, (unit, some) in enumerate(zip(units, asked, strict=True)):
            if outcomes[index] is None:
                outcomes[index] = self._came_to(unit, [next(answers) for _ in some])
        return outcomes

    def _came_to(self, unit: Unit, answers: Sequence[list[Result] | None]) -> Outcome:
        results = [result for some in answers for result in some or ()]
        bad = next((result for result in results if not result.ok), None)
        if bad is not None:
            return self.refused(unit, bad)
        if any(some is None for some in answers):
            return None  # looked up
        try:
            return self.done(unit, results)
        except RefusedError as err:
            return err

    def _site(self, unit: Unit, name: str) -> str:
        """Return the number of the site of that name. Raises RefusedError where there is none."""
        if not name:
            raise RefusedError(f"{unit.kind} {unit.id}: the source does not tell which domain it is of")
        found = self.at.site_of(name.lower())
        if not found:
            raise RefusedError(f"{unit.kind} {unit.id}: Plesk has no domain '{name}' here, which it needs")
        return found

    def bare(self, unit: Unit) -> str:
        """Return the id there without what the mapping puts before it."""
        return unit.there.removeprefix(self.prefix)


def _number(results: Sequence[Result], what: str) -> str:
    id = next((id for result in results if (id := result.node.findtext("id"))), "")
    if not id:
        raise UnknownOutcomeError(f"{what}: answered without the new number")
    return id


# ---- sites -----------------------------------------------------------------------------------------------------------


def _prefs(site_id: str, *prefs: Any) -> Operation:
    return operation("mail", "set_prefs", el("filter", el("site-id", site_id)), el("prefs", *prefs))


class Sites(Writer):
    """Domains: sites of the subscription, and sub domains under the site whose name they end in."""

    def asked(self, unit: Unit) -> list[Operation]:
        """Ask for a site without hosting, which a website brings."""
        if unit.action == "delete":
            return [operation("site", "del", el("filter", el("id", unit.there)))]
        if unit.action == "update":
            return [_prefs(unit.there, el("mailservice", unit.payload["mail"] != "off"))]
        told = [el("name", unit.payload["name"]), el("webspace-name", self.at.main)]
        if unit.payload.get("parent"):
            told.append(el("parent-site-id", str(unit.payload["parent"])))
        return [operation("site", "add", el("gen_setup", *told))]

    def done(self, unit: Unit, results: Sequence[Result]) -> Outcome:
        """Switch the mail of a new site off where it is elsewhere: a new site keeps mail for itself."""
        if unit.action != "create":
            return Written(unit.there)
        id = _number(results, "site/add")
        return Written(id) if self._mail(id, unit) else None

    def _mail(self, id: str, unit: Unit) -> bool:
        """Tell whether the site's mail is as it shall be."""
        if unit.payload.get("mail") != "off":
            return True
        try:
            [some] = self.at.api.write([_prefs(id, el("mailservice", False))])
        except RefusedError as err:
            raise UnknownOutcomeError(f"site {id} was made, and keeps mail for itself: {err}") from err
        return bool(some) and all(result.ok for result in some or ())

    def found(self, unit: Unit, known: set[str]) -> Written | None:
        """Return the site of that name, complete."""
        for one in self.at.sites():
            id = str(one["id"])
            if one["name"] == unit.payload["name"] and id not in known:
                return Written(id) if one.get("mail") == unit.payload.get("mail") or self._mail(id, unit) else None
        return None


class Aliases(Writer):
    """Domains that answer as another one does."""

    def asked(self, unit: Unit) -> list[Operation]:
        """Ask for an alias with mail and web, as its site has them."""
        if unit.action == "delete":
            return [operation("site-alias", "delete", el("filter", el("id", self.bare(unit))))]
        if not unit.payload.get("site"):
            raise RefusedError(f"{unit.kind} {unit.id}: the source does not tell which domain it is another name of")
        told = (el("site-id", str(unit.payload["site"])), el("name", unit.payload["name"]))
        return [operation("site-alias", "create", *told)]

    def done(self, unit: Unit, results: Sequence[Result]) -> Outcome:
        """Return the alias."""
        return Written(unit.there or self.prefix + _number(results, "site-alias/create"))

    def found(self, unit: Unit, known: set[str]) -> Written | None:
        """Return the alias of that name."""
        made = (self.prefix + str(one["id"]) for one in self.at.aliases() if one["name"] == unit.payload["name"])
        return next((Written(id) for id in made if id not in known), None)


class Websites(Writer):
    """Hosting of the site that has the website's name."""

    def asked(self, unit: Unit) -> list[Operation]:
        """Switch hosting on, change what is told of it, or switch it off."""
        site_id = self.bare(unit) or self._site(unit, str(unit.payload["name"]))
        if unit.action == "delete":
            return [_hosting(site_id, el("none"))]
        told = {name: value for name, value in unit.payload.items() if name in ("root", "php_version")}
        made = []
        if told.get("root"):
            made.append(_property("www_root", told["root"]))
        if unit.action == "create" or "php_version" in told:
            made.append(_property("php", "true" if told.get("php_version") else "false"))
            if told.get("php_version"):
                made.append(_property("php_handler_id", self._handler(str(told["php_version"]))))
        return [_hosting(site_id, el("vrt_hst", *made))]

    def _handler(self, version: str) -> str:
        """Return the handler of a PHP version, by FPM where there are several."""
        fit = sorted(
            (id for id, has in self.at.versions.items() if has == version), key=lambda id: ("fpm" not in id, id)
        )
        if not fit:
            raise RefusedError(f"Plesk has no PHP {version} here")
        return fit[0]

    def done(self, unit: Unit, results: Sequence[Result]) -> Outcome:
        """Return the website: the site of its name under another word."""
        return Written(unit.there or self.prefix + self._site(unit, str(unit.payload["name"])))

    def found(self, unit: Unit, known: set[str]) -> Written | None:
        """Tell whether the site is hosted as it shall be."""
        told = unit.payload
        for one in self.at.sites():
            if one["name"] == told["name"] and one["hosted"] and told.get("root") in (None, one.get("root")):
                same = one.get("php_version") == told.get("php_version")
                return Written(self.prefix + str(one["id"])) if same else None
        return None


def _hosting(site_id: str, hosting: Any) -> Operation:
    return operation("site", "set", el("filter", el("id", site_id)), el("values", el("hosting", hosting)))


def _property(name: str, value: Any) -> Any:
    return el("property", el("name", name), el("value", value))


class CatchAlls(Writer):
    """Where mail to unknown addresses of a site goes."""

    def asked(self, unit: Unit) -> list[Operation]:
        """Forward it; or refuse it, as Plesk does where nothing is said."""
        way = el("reject") if unit.action == "delete" else el("forward", unit.payload["catch_to"])
        return [_prefs(self.bare(unit) or str(unit.payload["id"]), el("nonexistent-user", way))]

    def done(self, unit: Unit, results: Sequence[Result]) -> Outcome:
        """Return it: its site under another word."""
        return Written(unit.there or self.prefix + str(unit.payload["id"]))

    def found(self, unit: Unit, known: set[str]) -> Written | None:
        """Tell whether it is set."""
        id = str(unit.payload["id"])
        held = next((one for one in self.at.sites() if str(one["id"]) == id), {})
        set = held.get("catch") == "forward" and held.get("catch_to") == unit.payload["catch_to"]
        return Written(self.prefix + id) if set else None


# ---- databases, FTP, tasks -------------------------------------------------------------------------------------------


class Databases(Writer):
    """Databases, empty."""

    def asked(self, unit: Unit) -> list[Operation]:
        """Ask for a database on the server that Plesk takes for its type."""
        if unit.action == "delete":
            return [operation("database", "del-db", el("filter", el("id", unit.there)))]
        told = (el("webspace-id", self.at.webspace), el("name", unit.payload["name"]), el("type", unit.payload["type"]))
        return [operation("database", "add-db", *told)]

    def done(self, unit: Unit, results: Sequence[Result]) -> Outcome:
        """Return the database."""
        return Written(unit.there or _number(results, "database/add-db"))

    def found(self, unit: Unit, known: set[str]) -> Written | None:
        """Return the database of that name."""
        made = (str(one["id"]) for one in self.at.databases() if one["name"] == unit.payload["name"])
        return next((Written(id) for id in made if id not in known), None)


class Users(Writer):
    """Database users: made with the database they may use, by their grant."""

    def asked(self, unit: Unit) -> list[Operation]:
        """Ask for nothing: a user that no database has any longer is gone."""
        return []

    def done(self, unit: Unit, results: Sequence[Result]) -> Outcome:
        """Return the login."""
        return Written(unit.there or str(unit.payload["login"]))

    def found(self, unit: Unit, known: set[str]) -> Written | None:
        """Return the login: there was nothing to carry out."""
        return Written(str(unit.payload["login"]))


class Grants(Writer):
    """A user of a database."""

    def asked(self, unit: Unit) -> list[Operation]:
        """Make the user with a password that nobody knows, or take him away."""
        if unit.action == "delete":
            held = self._held(self.bare(unit))
            return [operation("database", "del-db-user", el("filter", el("id", held["number"])))] if held else []
        login = str(unit.payload["id"])
        told = (el("db-id", unit.payload["db-id"]), el("login", login), el("password", records.password()))
        return [operation("database", "add-db-user", *told)]

    def _held(self, login: str) -> Native | None:
        return next((one for one in self.at.database_users() if one["id"] == login), None)

    def done(self, unit: Unit, results: Sequence[Result]) -> Outcome:
        """Return the grant: its user under another word."""
        return Written(unit.there or self.prefix + str(unit.payload["id"]))

    def found(self, unit: Unit, known: set[str]) -> Written | None:
        """Tell whether the user is one of that database."""
        held = self._held(str(unit.payload["id"]))
        there = held is not None and str(held["db-id"]) == str(unit.payload["db-id"])
        return Written(self.prefix + str(unit.payload["id"])) if there else None


class FtpUsers(Writer):
    """Additional FTP accounts."""

    def asked(self, unit: Unit) -> list[Operation]:
        """Ask for an account with a password that nobody knows; a folder that is not there is made."""
        told = unit.payload
        if unit.action == "delete":
            return [operation("ftp-user", "del", el("filter", el("name", unit.there)))]
        folder = str(told.get("folder") or "").strip("/")
        home = [el("home", f"/{folder}" if folder not in ("", ".") else None)]
        home += [el("create-non-existent", True)] if folder not in ("", ".") else []
        quota = el("quota", told.get("quota") or -1)
        if unit.action == "update":
            values = [*(home if "folder" in told else []), *([quota] if "quota" in told else [])]
            return [operation("ftp-user", "set", el("filter", el("name", unit.there)), el("values", *values))]
        first = (el("name", told["name"]), el("password", records.password()))
        return [operation("ftp-user", "add", *first, *home, quota, el("webspace-id", self.at.webspace))]

    def done(self, unit: Unit, results: Sequence[Result]) -> Outcome:
        """Return the login."""
        return Written(unit.there or str(unit.payload["name"]))

    def found(self, unit: Unit, known: set[str]) -> Written | None:
        """Return the account with that login."""
        there = any(one["id"] == unit.payload["name"] for one in self.at.ftp_users())
        return Written(str(unit.payload["name"])) if there else None


class Jobs(Writer):
    """Scheduled tasks, by the command line."""

    def write(self, units: Sequence[Unit]) -> list[Outcome]:
        """Carry one unit out: the command line takes one task a call."""
        unit, tasks = units[0], self.at.tasks
        if unit.action == "create":
            return [Written(tasks.add(unit.payload))]
        if unit.action == "delete":
            tasks.remove(unit.there)
        else:
            tasks.change(unit.there, unit.payload)
        return [Written(unit.there)]

    def found(self, unit: Unit, known: set[str]) -> Written | None:
        """Return a task with that time and command that nothing else accounts for."""
        id = self.at.tasks.find(unit.payload, known)
        return Written(id) if id else None
