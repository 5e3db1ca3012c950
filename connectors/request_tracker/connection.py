"""Writing Request Tracker: numbers in a header, keys as links, files as multipart, and what belongs to a call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from migrator.connector import Child, Finding, Native, Outcome, Unit, Written
from migrator.errors import AbsentError, MigratorError, RefusedError, UnknownOutcomeError
from migrator.manifest import Call

from .customizations import STREAMS
from .database import Database
from .initialdata import OF
from .reading import MOST, ROLES, Reader
from .teams import PEOPLE, where

NEW = ("new", "open", "resolved")  # statuses a ticket may be made with; the others are set at once afterwards


class Connection(Reader):
    """One Request Tracker that is written too, through its API and the channels chosen."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._statuses: dict[str, str] = {}  # of tickets written here: a reply would open them
        self._database: Database | None = None

    def write(self, units: Sequence[Unit]) -> list[Outcome]:
        """Carry out one call (and what belongs to it); one unit at a time, but for the import file's."""
        unit = units[0]
        if unit.kind in STREAMS:
            return self._custom.carry_out(units, [self._custom_body(one) for one in units])
        if unit.action != "create":
            return self._changed(unit)
        if unit.kind == "custom_field":
            return [self._field_made(unit)]
        if unit.kind == "ticket_link":
            return [self._merged_into(unit) if unit.variant == "merge" else self._linked(unit)]
        if unit.kind == "membership":
            self._teams.join(unit.refs["group"], unit.refs["agent"])
            return [_joined(unit)]
        write, call = self._declared(unit)
        body = _worded(self._body(write, call, unit))
        if unit.kind == "article":
            body = self._articles.body(body, marked=unit.variant == "article")
        if unit.kind in ("contact", "agent"):
            body["Name"] = _login(unit, body)
        aside = {name: body.pop(name, None) for name in ("Author", "Dated", "Type")} if unit.kind != "group" else {}
        path = call.path.replace("{ticket}", unit.refs.get("ticket", ""))
        if unit.kind == "ticket":
            aside["Status"] = body["Status"]
            body = self._ticket_body(unit, body)
        if unit.kind == "message":
            path, body = self._message_body(unit, path, body, aside)
        try:
            number = self._posted(call, path, body, _uploads(unit))
        except RefusedError as err:
            raise self._taken(body, err) from err
        return [self._finished(unit, number, aside)]

    def activate(self, unit: Unit, switch: str) -> None:
        """Switch a scrip on. May be called again. Raises RefusedError where it is gone."""
        if "sql" in self.channels and unit.there.isdecimal():
            self._sql().switch([int(unit.there)])
            on = int(unit.there) in self._sql().scrips()
            self._custom.switched(unit.there, on=on)
            if not on:
                raise RefusedError(f"{unit.kind} {unit.id}: scrip {unit.there} is no longer there", status=404)
            return
        (outcome,) = self._custom.carry_out([replace(unit, action="on")], [{}])
        if isinstance(outcome, RefusedError):
            raise outcome

    def _custom_body(self, unit: Unit) -> Native:
        if unit.action != "create":
            return {}
        return self._body(*self._declared(unit), unit, send=False)

    def _changed(self, unit: Unit) -> list[Outcome]:
        """Change a record, or take it away."""
        if unit.kind == "membership":
            group, who = unit.there.rsplit(":", 1)
            self._teams.leave(group, who)
            return [Written(unit.there)]
        if unit.kind == "ticket" and str(self.client.read(f"/ticket/{unit.there}").json()["id"]) != unit.there:
            raise RefusedError(
                f"ticket {unit.there} is merged: Request Tracker would change the other one in its place"
            )
        there = unit.there.removeprefix(PEOPLE)
        outcomes = super().write([replace(unit, there=there)])
        return [replace(one, id=unit.there) if isinstance(one, Written) else one for one in outcomes]  # type: ignore[union-attr]

    def _taken(self, body: Native, refused: RefusedError) -> RefusedError:
        """Return a refusal with its reason, where a ticket's number is taken: Request Tracker names none."""
        if "id" not in body or refused.status != 400:
            return refused
        try:
            self.client.read(f"/ticket/{body['id']}")
        except AbsentError:
            return refused
        what = f"the number {body['id']} is taken at Request Tracker: free it, or leave out the option ticket_ids"
        return RefusedError(what, status=400, answer=refused.answer)

    def _posted(self, call: Call, path: str, body: Native, files: list[Any]) -> str:
        """Post, and return the new record's number, which only the header Location has."""
        how: dict[str, Any] = {"json": body}
        if files:
            how = {"data": {"JSON": json.dumps(body)}, "files": files}
        response = self.client.write(call.method, path, **how)
        number = response.headers.get("Location", "").rsplit("/", 1)[-1]
        if not number.isdecimal():
            raise UnknownOutcomeError(f"{call.method} {path}: {response.status_code}, and no address of what was made")
        return number

    def _ticket_body(self, unit: Unit, body: Native) -> Native:
        if body["Status"] not in NEW:
            body["Status"] = "open"
        body.setdefault("Queue", self.options.get("queue", "General"))
        if str(body["Queue"]).startswith(PEOPLE):
            raise RefusedError(
                "its group is a mere group of people at Request Tracker: add a queue of its name, then plan"
            )
        body["RefersTo"] = [_key(unit)]
        if "Content" in body:
            body["ContentType"] = "text/html"
        if self.options.get("ticket_ids") == "keep" and unit.id.isdecimal() and int(unit.id) < 2**31:
            body["id"] = int(unit.id)
        return body

    def _message_body(self, unit: Unit, path: str, body: Native, aside: Native) -> tuple[str, Native]:
        body["ContentType"] = "text/html"
        ticket = unit.refs["ticket"]
        if aside.get("Type") == "Comment":
            return f"/ticket/{ticket}/comment", body
        if ticket not in self._statuses:
            self._statuses[ticket] = str(self.client.read(f"/ticket/{ticket}").json()["Status"])
        if self._statuses[ticket] != "open":
            body["Status"] = self._statuses[ticket]  # in the same call, after the scrip that opens it
        return path, body

    def _finished(self, unit: Unit, number: str, aside: Native) -> Written:
        """Do what belongs to a call once it is carried out; doing it twice harms nothing."""
        children: dict[tuple[str, str], str] = {}
        files = [child for child in unit.children if child.kind == "attachment" and child.blob]
        said: str | None = number if unit.kind == "message" else None
        if unit.kind == "ticket":
            self._statuses[number] = aside["Status"]
            if aside["Status"] not in NEW:
                self.client.write("PUT", f"/ticket/{number}", json={"Status": aside["Status"]})
            for child in unit.children:
                if child.kind == "message":
                    children[child.kind, child.id] = f"description:{number}"
        if files:
            children.update(self._attached(number, said, files))
        if unit.kind in ("ticket", "message") and "sql" in self.channels:
            self._sql().back_fill(number if unit.kind == "ticket" else None, said, aside["Author"], aside["Dated"])
            if unit.kind == "ticket" and self.options.get("ticket_ids") == "keep":
                self._sql().number_on()
        return Written(self._named(unit, number), None, children)

    def _attached(self, number: str, said: str | None, files: Sequence[Child]) -> dict[tuple[str, str], str]:
        """Return the numbers of the files that went along: the last parts of their message, in order."""
        if said:
            links = self.client.read(f"/transaction/{said}").json()["_hyperlinks"]
            ids = sorted(int(link["_url"].rsplit("/", 1)[-1]) for link in links if link.get("ref") == "attachment")
        else:
            parts = self._parts(number)
            ids = [int(part["id"]) for part in parts[min(parts, key=int)]]
        if len(ids) < len(files):
            raise UnknownOutcomeError(f"{len(files)} files went along, and {len(ids)} are there")
        return {(c.kind, c.id): str(id) for c, id in zip(files, ids[-len(files) :], strict=True)}

    def _linked(self, unit: Unit) -> Written:
        ticket, other, how = unit.refs["ticket"], unit.refs["other"], str(unit.payload["how"])
        said = self.client.write("PUT", f"/ticket/{ticket}", json={f"Add{how}": [other]}).text
        if not self._has_link(unit):
            raise RefusedError(f"ticket {ticket}: no link {how} to {other}", status=200, answer=said[:4000])
        return Written(f"{ticket}:{how}:{other}")

    def _merged_into(self, unit: Unit) -> Written:
        """Merge a ticket into another, which keeps its own people: Request Tracker would add those of the first."""
        ticket, other = unit.refs["ticket"], unit.refs["other"]
        shown = str(self.client.read(f"/ticket/{ticket}").json()["id"])
        if shown != ticket:
            raise RefusedError(f"ticket {ticket} is merged into {shown} already")
        unit = unit if unit.mark else replace(unit, mark=self._people_of(other))
        said = self.client.write("PUT", f"/ticket/{ticket}", json={"MergeInto": int(other)}).text
        if not self._has_link(unit):
            raise RefusedError(f"ticket {ticket} was not merged into {other}", status=200, answer=said[:4000])
        self._people_back(unit)
        return Written(f"{ticket}:MergedInto:{other}")

    def marks(self, units: Sequence[Unit]) -> list[str]:
        """Return the people of the ticket each merge goes into, before it: whatever becomes of the answer."""
        merges = [unit.kind == "ticket_link" and unit.variant == "merge" for unit in units]
        return [self._people_of(u.refs["other"]) if is_one else "" for u, is_one in zip(units, merges, strict=True)]

    def _people_of(self, ticket: str) -> str:
        return json.dumps(self._watching(ticket), sort_keys=True)

    def _people_back(self, unit: Unit) -> None:
        """Leave the ticket that another was merged into with the people it had; doing it twice harms nothing."""
        other = unit.refs["other"]
        if unit.mark and self._people_of(other) != unit.mark:
            self.client.write("PUT", f"/ticket/{other}", json=json.loads(unit.mark))

    def _watching(self, ticket: str) -> dict[str, list[str]]:
        native = self.client.read(f"/ticket/{ticket}").json()
        return {role: [who["id"] for who in native.get(role) or []] for role in ROLES}

    def _has_link(self, unit: Unit) -> bool:
        record = self._one("tickets", unit.refs["ticket"])
        native = json.loads(record.body) if record else {"_links": [], "_merges": []}
        links = native["_merges"] if unit.variant == "merge" else native["_links"]
        return any(one["how"] == _how(unit) and one["other"] == unit.refs["other"] for one in links)

    def _field_made(self, unit: Unit) -> Written:
        write, call = self._declared(unit)
        self._initialdata().field(self._body(write, call, unit), unit.variant)
        found = self._field_there(unit)
        if found is None:
            raise RefusedError(f"custom field {unit.payload['Name']}: not there after the import", status=200)
        return found

    def _field_there(self, unit: Unit) -> Written | None:
        query = where(("Name", "=", unit.payload["Name"]))
        params = {"query": query, "fields": "id,LookupType", "find_disabled_rows": 1, "per_page": MOST}
        of = OF[unit.variant]
        found = self.client.read("/customfields", params).json()["items"]
        ids = [str(one["id"]) for one in found if one.get("LookupType") == of]
        return Written(ids[-1], ids[-1]) if ids else None

    # ---- doubt ------------------------------------------------------------------------------------------------------

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made, and do what belongs to them."""
        found: list[Written | None] = []
        held = self._custom.dump() if any(u.kind in STREAMS and u.action == "create" for u in units) else {}
        for unit in units:
            if unit.action != "create":
                found += super().find([unit], known)
                continue
            written = (
                self._custom.find(unit, self._custom_body(unit), known, held)
                if unit.kind in STREAMS
                else self._found(unit, known)
            )
            known = known | {written.id} if written else known
            found.append(written)
        return found

    def _found(self, unit: Unit, known: set[str]) -> Written | None:
        if unit.kind == "custom_field":
            return self._field_there(unit)
        if unit.kind == "ticket_link":
            link = f"{unit.refs['ticket']}:{_how(unit)}:{unit.refs['other']}"
            if not self._has_link(unit):
                return None
            if unit.variant == "merge":
                self._people_back(unit)
            return Written(link)
        if unit.kind == "membership":
            return _joined(unit) if self._teams.holds(unit.refs["group"], unit.refs["agent"]) else None
        write, call = self._declared(unit)
        body = _worded(self._body(write, call, unit, send=False))
        aside = {name: body.get(name) for name in ("Author", "Dated", "Type", "Status")}
        if unit.kind == "ticket":
            params = {"query": f"RefersTo = '{_key(unit)}'", "fields": "id", "orderby": "id"}
            ids = [str(one["id"]) for one in self.client.read("/tickets", params).json()["items"]]
        elif unit.kind == "message":
            ids = self._said(unit, body, known)
        elif unit.kind == "group" and unit.variant == "people":
            team = self._teams.called(str(body["Name"]))
            ids = [team] if team else []
        elif unit.kind == "group":
            ids = self._by_name("/queues", str(body["Name"]))
        elif unit.kind == "article":
            ids = [id for id in self._articles.there(body) if id not in known]
        else:
            ids = self._by_name("/users", _login(unit, body))
        return self._finished(unit, ids[0], aside) if ids else None

    def _by_name(self, path: str, name: str) -> list[str]:
        params = {"query": where(("Name", "=", name)), "fields": "id", "find_disabled_rows": 1}
        return [str(one["id"]) for one in self.client.read(path, params).json()["items"]]

    def _said(self, unit: Unit, body: Native, known: set[str]) -> list[str]:
        """Return the message on the ticket that says the same and belongs to no other record of ours."""
        from migrator.stage import html_form

        wanted = html_form(str(body.get("Content") or ""))
        for record in self.child(self.manifest.streams["messages"], unit.refs["ticket"]):
            native = json.loads(record.body)
            if record.id not in known and native["Type"] == body["Type"] and html_form(native["Content"]) == wanted:
                return [record.id]
        return []

    # ---- automations ------------------------------------------------------------------------------------------------

    def switches(self) -> Native:
        """Return the scrips that are on; nothing where only the API is open, which does not show them."""
        if "sql" in self.channels:
            return {"scrips": self._sql().scrips()}
        return {"scrips": self._initialdata().scrips()} if "initialdata" in self.channels else {}

    def quiet(self) -> None:
        """Switch every scrip off: they mail customers, and open tickets again."""
        self._switch(None)

    def restore(self, was: Native) -> None:
        """Switch the scrips on that were on."""
        if was.get("scrips"):
            self._switch(was["scrips"])

    def _switch(self, on: list[int] | None) -> None:
        if "sql" in self.channels:
            self._sql().switch(on)
        elif "initialdata" in self.channels:
            self._initialdata().switch(on)

    def _sql(self) -> Database:
        if self._database is None:
            self._database = Database(self.given("database"), lambda: self.given("database_password"))
        return self._database

    def check(self) -> list[Finding]:
        """Try the credentials and the rights, then what the channels need."""
        findings = super().check()
        if "sql" in self.channels and findings[0].ok:
            try:
                findings.append(Finding("the database", True, f"{len(self._sql().scrips())} scrips are on"))
            except MigratorError as err:
                findings.append(Finding("the database", False, str(err)))
        return findings


# ---- shapes ----------------------------------------------------------------------------------------------------------


def _key(unit: Unit) -> str:
    """Return migrator's own key as the address a ticket refers to."""
    return "migrator:" + quote(unit.key, safe=":.-_")


def _how(unit: Unit) -> str:
    """Return a link's kind in Request Tracker's word."""
    return "MergedInto" if unit.variant == "merge" else str(unit.payload["how"])


def _joined(unit: Unit) -> Written:
    return Written(f"{unit.refs['group']}:{unit.refs['agent']}")


def _login(unit: Unit, body: Native) -> str:
    """Return the name a user signs in with: it must be there, and nobody else's."""
    return str(body.get("EmailAddress") or f"migrator {unit.key}")


def _moment(text: str) -> str:
    return text.replace("T", " ").removesuffix("Z")[:19]


def _uploads(unit: Unit) -> list[Any]:
    """Return the files that go along, as multipart: JSON would turn a name in other letters into question marks."""
    return [
        ("Attachments", (c.payload["Filename"].replace('"', "'"), c.blob.read_bytes(), c.payload["ContentType"]))
        for c in unit.children
        if c.kind == "attachment" and c.blob
    ]


def _worded(body: Native) -> Native:
    """Return a payload as Request Tracker takes it: dates without a zone, custom values as text."""
    body = {k: _moment(v) if k in ("Created", "Due") and v else v for k, v in body.items()}
    held = body.get("CustomFields")
    if not isinstance(held, dict):
        return body

    def text(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    worded = {k: [text(v) for v in value] if isinstance(value, list) else text(value) for k, value in held.items()}
    return {**body, "CustomFields": worded}
