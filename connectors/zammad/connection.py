"""Writing Zammad: a ticket with its first article, files as base64 in their article, own fields through migrations."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

from migrator.connector import Child, Finding, Native, Outcome, Promise, Raw, Unit, Written
from migrator.errors import AbsentError, AccessError, InputError, RefusedError, UnknownOutcomeError
from migrator.manifest import Call, Write

from . import workflows
from .fields import KEY, attribute
from .reading import OURS, Reader, as_html, days_off, full_name
from .rules.names import AROUND_THE_CLOCK
from .rules.numbers import in_ids, names_in

PENDING_DAYS = 7
SWITCH = "on the server: zammad run rails r \"Setting.set('import_mode', true)\"; or leave the channel out"
FIRED = ("triggers", "jobs", "core_workflows")  # what acts on tickets by itself, or refuses them
RULE_KINDS = ("trigger", "automation", "macro", "view", "sla_policy")
HOW_BACK = {"normal": "normal", "parent": "child", "child": "parent"}  # the same link, told at its other end


class Connection(Reader):
    """One account that is written too. The channel ``import_mode`` asks for a Zammad that is in that mode."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._alone = threading.Lock()  # a user's groups are read, changed and written back
        self._authors: dict[str, Native] = {}

    # ---- payloads ---------------------------------------------------------------------------------------------------

    def _body(self, write: Write, call: Call, unit: Unit, *, send: bool = True) -> Native:
        body = super()._body(write, call, unit, send=send)
        body.update(body.pop("_custom", None) or {})
        if "_details" in body:
            body["note"] = as_html(str(body.pop("_details") or ""))
        if unit.kind in ("contact", "agent"):
            return _person(unit, body)
        if unit.kind == "ticket":
            return self._ticket_body(unit, body)
        if unit.kind in RULE_KINDS and send:
            return self._in_ids(body)
        if unit.kind == "form_condition" and send:
            return workflows.sent(self._in_ids(body), self.own_fields)
        if unit.kind == "message" and unit.action == "create":
            return {**self._article(body, unit.children), "ticket_id": int(unit.refs["ticket"])}
        return body

    def _in_ids(self, body: Native) -> Native:
        """Return a rule with the account's own numbers. Raises RefusedError where it names what is not there."""
        try:
            return in_ids(body, self.table)  # type: ignore[no-any-return]
        except KeyError as err:
            kind, name = err.args
            raise RefusedError(f"Zammad has no {kind.replace('_', ' ')} '{name}'", status=404) from None

    def complaint(self, kind: str, payload: Native) -> str | None:
        """Return what a rule names that is not there and that no plan makes; asked while planning."""
        missing = [
            f"no {of.replace('_', ' ')} '{name}' there"
            for of, name in dict.fromkeys(names_in(payload))
            if name != AROUND_THE_CLOCK and name not in self.table(of).values()
        ]
        return "; ".join(missing) + ": add it and plan again" if missing else None

    def _embed(self, write: Write, unit: Unit, owner: str | None, body: Native, send: bool) -> None:
        for child in unit.children:
            if child.kind == "message":
                body["article"] = self._article(dict(child.payload), unit.children if send else ())

    def _files(self, write: Write, unit: Unit) -> list[Any]:
        return []  # they travel within the article

    def _ticket_body(self, unit: Unit, body: Native) -> Native:
        for ours, theirs in (("_state", "state"), ("_priority", "priority")):
            if ours in body:
                body[theirs] = body.pop(ours)
        if unit.action == "create" and not body.get("group_id"):
            body["group"] = self.options.get("group", "Users")
        if str(body.get("state") or "").startswith("pending"):
            days = float(self.options.get("pending_days", PENDING_DAYS))
            body["pending_time"] = (self.time() + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        if "tags" in body and unit.action == "create":
            body["tags"] = ",".join(tag for tag in body["tags"] if "," not in tag)
        return body

    def _article(self, payload: Native, children: Sequence[Child]) -> Native:
        """Return an article as it is sent: a note, so that Zammad mails it to nobody."""
        article = {**payload, "content_type": "text/html", "type": "note"}
        if "import_mode" in self.channels and article.get("origin_by_id"):
            article |= self._sender(str(article["origin_by_id"]))  # outside that mode Zammad says so itself
        files = [child for child in children if child.kind == "attachment" and child.blob]
        if files:
            article["attachments"] = [_file(child) for child in files]
        return {name: value for name, value in article.items() if value is not None}

    def _sender(self, id: str) -> Native:
        if id not in self._authors:
            self._authors[id] = self._shape_users(self._read(f"/users/{id}"))
        user = self._authors[id]
        return {"sender": "Agent" if user["_is"] == "agent" else "Customer", "from": full_name(user)}

    # ---- writing ----------------------------------------------------------------------------------------------------

    def write(self, units: Sequence[Unit]) -> list[Outcome] | Promise:
        """Carry out one call, and what belongs to it; one unit at a time."""
        unit = units[0]
        if unit.kind == "membership":
            return [self._joined(unit)]
        if unit.kind == "ticket_link":
            return [self._linked(unit)]
        if unit.kind == "holiday":
            return [self._day_off(unit)]
        if unit.kind == "custom_field":
            return self._field(units)
        if unit.kind == "ticket" and unit.action == "create":
            return [self._ticket(unit)]
        if unit.kind == "ticket" and unit.action == "update":
            return self._ticket_changed(units)
        done = super().write(units)
        if unit.kind == "schedule":
            self.__dict__.pop("_listed_names", None)  # rules name it
        if unit.kind == "group" and unit.action == "create":
            with after("a group"):
                self._let_in(done)  # type: ignore[arg-type]
        return done

    def _ticket(self, unit: Unit) -> Written:
        write, call = self._declared(unit)
        response = self.client.write(call.method, f"{call.path}?all=true", json=self._body(write, call, unit))
        try:
            return self._ticket_made(unit, response.json())
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, StopIteration) as err:
            raise UnknownOutcomeError(f"POST {call.path}: {response.status_code}, with an unreadable answer") from err

    def _ticket_made(self, unit: Unit, answer: Native) -> Written:
        """Return what a ticket's call made, and add the tags that no list of tags can carry."""
        id = str(answer["ticket_id"])
        children: dict[tuple[str, str], str] = {}
        if any(child.kind == "message" for child in unit.children):
            article = answer["assets"]["TicketArticle"][str(answer["ticket_article_ids"][0])]
            files = iter(article.get("attachments") or ())
            for child in unit.children:
                if child.kind == "message":
                    children[child.kind, child.id] = str(article["id"])
                elif child.blob:
                    children[child.kind, child.id] = str(next(files)["id"])
        with after(f"ticket {id}"):
            for tag in unit.payload.get("tags") or ():
                if "," in tag:
                    self._tag("POST", "add", id, tag)
        return Written(id, None, children)

    def _ticket_changed(self, units: Sequence[Unit]) -> list[Outcome] | Promise:
        unit = units[0]
        wanted = unit.payload.get("tags") if "tags" in unit.payload else None
        rest = {name: value for name, value in unit.payload.items() if name != "tags"}
        if "tags" in unit.payload:
            held = set(self._read("/tags", {"object": "Ticket", "o_id": unit.there})["tags"])
            for tag in sorted(set(wanted or ()) - held):
                self._tag("POST", "add", unit.there, tag)
            for tag in sorted(held - set(wanted or ())):
                self._tag("DELETE", "remove", unit.there, tag)
        if not rest:
            return [Written(unit.there)]
        _, call = self._declared(unit)
        body = self._ticket_body(unit, {**rest})
        body.update(body.pop("_custom", None) or {})
        self.client.write(call.method, call.path.replace("{id}", unit.there), json=body)
        return [Written(unit.there)]

    def _tag(self, method: str, verb: str, ticket: str, tag: str) -> None:
        self.client.write(method, f"/tags/{verb}", json={"object": "Ticket", "o_id": int(ticket), "item": tag})

    # ---- own fields -------------------------------------------------------------------------------------------------

    def _field(self, units: Sequence[Unit]) -> list[Outcome] | Promise:
        """Add or remove a field, and carry out the migration that makes or drops its column."""
        unit = units[0]
        if unit.action == "delete":
            done: list[Outcome] | Promise = super().write(units)
        else:
            write, call = self._declared(unit)
            body = attribute(unit, super()._body(write, call, unit))
            response = self.client.write(call.method, call.path, json=body)
            try:
                done = [Written(str(response.json()["id"]), str(body["name"]))]
            except (ValueError, KeyError, TypeError) as err:
                raise UnknownOutcomeError(f"POST {call.path}: with an unreadable answer") from err
        with after("a field"):
            self._migrate()
        return done

    def _migrate(self) -> None:
        self.client.write("POST", "/object_manager_attributes_execute_migrations", json={})
        self.__dict__.pop("own_fields", None)  # read anew

    def _field_there(self, unit: Unit) -> Written | None:
        write, call = self._declared(unit)
        wanted = attribute(unit, super()._body(write, call, unit))
        for one in self._read("/object_manager_attributes"):
            if (one["object"], one["name"]) == (wanted["object"], wanted["name"]):
                if one.get("to_create"):
                    self._migrate()
                return Written(str(one["id"]), str(one["name"]))
        return None

    # ---- memberships and links --------------------------------------------------------------------------------------

    def _joined(self, unit: Unit) -> Written:
        """Let an agent into a group, or out of it: the whole of his groups is written at once."""
        create = unit.action == "create"
        group, user = (unit.refs["group"], unit.refs["agent"]) if create else unit.there.split(":")
        with self._alone:
            try:
                held = dict(self._read(f"/users/{user}").get("group_ids") or {})
            except AbsentError:
                if create:
                    raise RefusedError(f"user {user} is no longer there", status=404) from None
                return Written(unit.there)
            held = {**held, group: ["full"]} if create else {id: way for id, way in held.items() if id != group}
            self.client.write("PUT", f"/users/{user}", json={"group_ids": held})
        return Written(f"{group}:{user}")

    def _let_in(self, made: Sequence[Any]) -> None:
        """Give ourselves access to new groups: whoever has none may write no ticket there, nor see one."""
        ids = [one.id for one in made if isinstance(one, Written)]
        if not ids:
            return
        with self._alone:
            held = dict(self._read("/users/me").get("group_ids") or {})
            if new := {id: list(OURS) for id in ids if id not in held}:
                self.client.write("PUT", f"/users/{self.me['id']}", json={"group_ids": {**held, **new}})

    def _linked(self, unit: Unit) -> Written:
        """Link two tickets, or unlink them. A link is known by the ticket, what the other is to it, and the other."""
        ticket, how, other = unit.there.split(":") if unit.action == "delete" else self._ends(unit)
        body = {"link_type": HOW_BACK[how], "link_object_source": "Ticket", "link_object_target": "Ticket"}
        body["link_object_target_value"] = int(other)  # type: ignore[assignment]
        if unit.action == "delete":
            self.client.write("DELETE", "/links/remove", json={**body, "link_object_source_value": int(ticket)})
            return Written(unit.there)
        number = self._read(f"/tickets/{ticket}")["number"]
        self.client.write("POST", "/links/add", json={**body, "link_object_source_number": number})
        return Written(f"{ticket}:{how}:{other}")

    def _ends(self, unit: Unit) -> tuple[str, str, str]:
        ticket, other, how = unit.refs["ticket"], unit.refs["other"], str(unit.payload["link_type"])
        if how == "normal" and int(ticket) > int(other):
            ticket, other = other, ticket
        return ticket, how, other

    def _has_link(self, unit: Unit) -> Written | None:
        ticket, how, other = self._ends(unit)
        links = self._read("/links", {"link_object": "Ticket", "link_object_value": ticket})["links"]
        there = any((one["link_type"], str(one["link_object_value"])) == (how, other) for one in links)
        return Written(f"{ticket}:{how}:{other}") if there else None

    # ---- days off ---------------------------------------------------------------------------------------------------

    def _day_off(self, unit: Unit) -> Written:
        """Add days off to their calendar, or take them out: the whole of its days is written at once."""
        create = unit.action == "create"
        calendar, _, first = (unit.there or f"{unit.refs.get('schedule')}:{unit.payload.get('first')}").partition(":")
        with self._alone:
            try:
                native = self._read(f"/calendars/{calendar}")
            except AbsentError:
                if create:
                    raise RefusedError(f"calendar {calendar} is no longer there", status=404) from None
                return Written(unit.there)
            held = dict(native.get("public_holidays") or {})
            if create:
                days = _days(str(unit.payload["first"]), str(unit.payload["last"]))
                held |= {day: {"active": True, "summary": unit.payload["name"]} for day in days}
            else:
                told = Raw(calendar, json.dumps(native).encode())
                gone = next((json.loads(one.body) for one in days_off(told) if one.id == unit.there), None)
                for day in _days(gone["first"], gone["last"]) if gone else ():
                    held.pop(day, None)
            self.client.write("PUT", f"/calendars/{calendar}", json={"public_holidays": held})
        return Written(f"{calendar}:{first}")

    def _is_off(self, unit: Unit) -> Written | None:
        calendar, _, first = (unit.there or f"{unit.refs.get('schedule')}:{unit.payload.get('first')}").partition(":")
        try:
            held = self._read(f"/calendars/{calendar}").get("public_holidays") or {}
        except AbsentError:
            held = {}
        if unit.action == "create":
            there = bool(held.get(first, {}).get("active")) and held[first].get("summary") == unit.payload["name"]
        else:
            there = not held.get(first, {}).get("active")
        return Written(f"{calendar}:{first}") if there else None

    # ---- doubt ------------------------------------------------------------------------------------------------------

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made, and do what belongs to them."""
        found: list[Written | None] = [None] * len(units)
        others: list[int] = []
        tickets: list[int] = []
        for at, unit in enumerate(units):
            if unit.kind == "membership":
                found[at] = self._stands_in(unit)
            elif unit.kind == "holiday":
                found[at] = self._is_off(unit)
            elif unit.action != "create":
                found[at] = self._stood(unit)
            elif unit.kind == "custom_field":
                found[at] = self._field_there(unit)
            elif unit.kind == "ticket_link":
                found[at] = self._has_link(unit)
            else:
                (tickets if unit.kind == "ticket" else others).append(at)
        for at, written in zip(tickets, self._tickets_there([units[at] for at in tickets], known), strict=True):
            found[at] = written
        for at, written in zip(others, super().find([units[at] for at in others], known), strict=True):
            found[at] = written
        self._let_in([written for unit, written in zip(units, found, strict=True) if unit.kind == "group" and written])
        return found

    def _stood(self, unit: Unit) -> Written | None:
        if unit.kind != "custom_field":
            return self._stands(unit)
        held = [one for one in self._read("/object_manager_attributes") if str(one["id"]) == unit.there]
        if held and held[0].get("to_delete"):
            self._migrate()
        return None if held and not held[0].get("to_delete") else Written(unit.there)

    def _stands_in(self, unit: Unit) -> Written | None:
        create = unit.action == "create"
        group, user = (unit.refs["group"], unit.refs["agent"]) if create else unit.there.split(":")
        try:
            inside = group in (self._read(f"/users/{user}").get("group_ids") or {})
        except AbsentError:
            inside = False
        return Written(f"{group}:{user}") if inside == create else None

    def _tickets_there(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look for our keys from the end of the list on: a ticket in doubt is among the newest, and the search lags."""
        if not units:
            return []
        spec = self.manifest.streams["tickets"]
        name = units[0].keys.get("migrator-key", KEY)
        wanted = {unit.key: at for at, unit in enumerate(units)}
        found: list[Written | None] = [None] * len(units)
        for number in range(self._last_page(spec.path, spec.paging.size), 0, -1):
            page = self._read(spec.path, {"per_page": spec.paging.size, "page": number})
            for native in page:
                at = wanted.get(str(native.get(name)))
                if at is not None and found[at] is None and str(native["id"]) not in known:
                    answer = self._read(f"/tickets/{native['id']}", {"all": "true"})
                    found[at] = self._ticket_made(units[at], answer)
            if all(found) or (page and not any(native.get(name) and str(native["id"]) not in known for native in page)):
                break
        return found

    def _last_page(self, path: str, size: int) -> int:
        """Return the last numbered page that holds anything: doubled until one is empty, then halved."""

        def holds(number: int) -> bool:
            return bool(self._read(path, {"per_page": size, "page": number}))

        low, high = 1, 2
        while holds(high):
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if holds(middle) else (low, middle)
        return low

    # ---- automations ------------------------------------------------------------------------------------------------

    def switches(self) -> Native:
        """Return the triggers, jobs and core workflows that are on; nothing in import mode, which runs none of them."""
        if "import_mode" in self.channels:
            return {}
        return {of: self._on(of) for of in FIRED}

    def _on(self, of: str) -> list[int]:
        try:
            return [one["id"] for one in self._read(f"/{of}") if one.get("active")]
        except (AbsentError, AccessError):
            if of == "core_workflows":  # before Zammad 5 there were none; a right of its own
                return []
            raise

    def quiet(self) -> None:
        """Switch them off. Raises InputError where import mode is chosen and Zammad is not in it."""
        if "import_mode" in self.channels:
            if not self._importing():
                raise InputError("the channel import_mode is chosen, and Zammad is not in import mode", remedy=SWITCH)
            return
        for of in FIRED:
            for id in self._on(of):
                self.client.write("PUT", f"/{of}/{id}", json={"active": False})

    def restore(self, was: Native) -> None:
        """Switch on again what was on."""
        for of, ids in was.items():
            for id in ids:
                try:
                    self.client.write("PUT", f"/{of}/{id}", json={"active": True})
                except AbsentError:
                    continue  # somebody has deleted it meanwhile

    def _importing(self) -> bool:
        for one in self._read("/settings"):
            if one.get("name") == "import_mode":
                return bool((one.get("state_current") or {}).get("value"))
        return False

    def check(self) -> list[Finding]:
        """Try the credentials and the rights, and whether Zammad is in import mode where that channel is chosen."""
        findings = super().check()
        if "import_mode" in self.channels and findings[0].ok:
            on = self._importing()
            findings.append(Finding("import mode", on, "" if on else "Zammad is not in it; see its page"))
        return findings


# ---- values ----------------------------------------------------------------------------------------------------------


@contextmanager
def after(what: str) -> Iterator[None]:
    """Calls that follow one that made something: that they were refused must not read as if it had not been made."""
    try:
        yield
    except RefusedError as err:
        raise UnknownOutcomeError(f"{what} was made, but what follows was refused: {err}") from err


def _person(unit: Unit, body: Native) -> Native:
    """Return a user as he is sent: two names, the roles, and a login to find him by."""
    if "_name" in body:
        body["firstname"], body["lastname"] = split_name(str(body.pop("_name") or ""))
    role = body.pop("_role", None)
    if unit.action == "create":
        body["login"] = str(body.get("email") or unit.key).lower()
        body["roles"] = ["Customer"] if unit.kind == "contact" else ["Agent"]
    if unit.kind == "agent" and role:
        body["roles"] = ["Admin", "Agent"] if role == "admin" else ["Agent"]
    return body


def _days(first: str, last: str) -> list[str]:
    """Return every day from the first to the last, at most a year of them."""
    begins, ends = date.fromisoformat(first), date.fromisoformat(last)
    return [(begins + timedelta(days=at)).isoformat() for at in range(min((ends - begins).days, 366) + 1)]


def split_name(name: str) -> tuple[str, str]:
    """Return first and last name, which with a blank between them are the name again."""
    first, _, last = name.partition(" ")
    return first, last.lstrip() if last.startswith(" ") else last


def _file(child: Child) -> Native:
    assert child.blob is not None
    kind = str((child.payload.get("preferences") or {}).get("Mime-Type") or "application/octet-stream")
    data = base64.b64encode(child.blob.read_bytes()).decode()
    return {"filename": child.payload.get("filename") or "file", "data": data, "mime-type": kind}
