"""Reading Zammad: numbered pages, one look a ticket, and records whose own fields stand among the built-in ones.

What is added to a body begins with ``_``; a customer's own fields are moved into ``_custom`` (facts.yaml).
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from migrator.connector import Cursor, Finding, Native, Page, Raw
from migrator.delivery import Deliverer
from migrator.errors import AbsentError, AccessError, MigratorError, VendorError
from migrator.manifest import Stream

from . import workflows
from .rules.numbers import FIXED, in_words, named_tables

OBJECTS = {"tickets": "Ticket", "users": "User", "organizations": "Organization"}
MADE = ("memberships", "holidays", "forms")  # of what other records hold
BELONGS = ("ticket_articles", "links")  # to a ticket, and told with it
OURS = ("read", "create", "change", "overview")  # the access we give ourselves; people have "full", or less
NOBODY = "1"  # the user who stands where there is none: the owner of a ticket without an owner
RULES = ("triggers", "jobs", "macros", "overviews", "slas")  # short lists, whose order is that of their names
PASSES = 3  # of the list of tickets, until one shows nothing that was overlooked
INLINE = re.compile(r'<img[^>]*\ssrc="/api/v1/ticket_attachment/(\d+)/(\d+)/(\d+)[^"]*"', re.IGNORECASE)


@dataclass(frozen=True)
class Looked:
    """A ticket as one look shows it: its own record, and those of the streams that belong to it."""

    ticket: Raw
    belongs: dict[str, list[Raw]]


class Reader(Deliverer):
    """One account that is read. What a run looks up once is kept: roles, states, priorities, own fields."""

    @cached_property
    def me(self) -> Native:
        """Return the user whose token it is."""
        return self._read("/users/me")  # type: ignore[no-any-return]

    @cached_property
    def rights(self) -> dict[int, list[str]]:
        """Return the permissions of every role."""
        roles = self._read("/roles", {"expand": "true"})
        return {int(role["id"]): [str(one) for one in role.get("permissions") or ()] for role in roles}

    @cached_property
    def states(self) -> dict[int, str]:
        """Return the names of the ticket states."""
        return named_tables("state", self._read)

    @cached_property
    def priorities(self) -> dict[int, str]:
        """Return the names of the priorities."""
        return named_tables("priority", self._read)

    def table(self, kind: str) -> Mapping[int, str]:
        """Return the names of what rules name without a record of its own, by id; of roles and calendars too."""
        if kind in FIXED:
            return FIXED[kind]
        if kind not in ("state", "priority", "role", "calendar"):
            return {}
        return {"state": self.states, "priority": self.priorities}.get(kind) or self._listed_names[kind]

    @cached_property
    def _listed_names(self) -> dict[str, dict[int, str]]:
        return {kind: named_tables(kind, self._read) for kind in ("role", "calendar")}

    @cached_property
    def own_fields(self) -> dict[str, dict[str, Native]]:
        """Return the customer's own fields, by object and name."""
        found: dict[str, dict[str, Native]] = {}
        for one in self._read("/object_manager_attributes"):
            if not _built_in(one):
                found.setdefault(str(one["object"]), {})[str(one["name"])] = {**one, "_options": options(one)}
        return found

    def _read(self, path: str, params: dict[str, Any] | None = None) -> Any:
        response = self.client.read(path, params)
        try:
            return response.json()
        except ValueError as err:
            raise VendorError(f"GET {path}: the answer is not the JSON it should be") from err

    # ---- streams ----------------------------------------------------------------------------------------------------

    def pages(
        self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]], *, view: bool = True
    ) -> Iterator[Page]:
        """Yield the stream's pages. Tickets come with their articles; a later round looks at changed ones only."""
        if stream == "tickets":
            yield from self._ticket_pages(start, parents)
        elif stream == "memberships":
            me = self._read("/users/me")
            hidden = {
                f"{id}:{me['id']}" for id in ours(me.get("group_ids") or {})
            }  # so that we can write there, and no membership of anybody's
            for page in super().pages("groups", start, parents):
                members = [one for group in page.records for one in _members(group)]
                yield replace(page, records=[one for one in members if one.id not in hidden])
        elif stream == "holidays":
            for page in super().pages("calendars", start, parents):
                yield replace(page, records=[one for calendar in page.records for one in days_off(calendar)])
        elif stream == "forms":
            pages = super().pages("core_workflows", start, parents)
            every = [self._shaped("core_workflows", one) for page in pages for one in page.records]
            made = workflows.form((json.loads(one.body) for one in every), self.own_fields)
            record = [Raw(workflows.FORM, json.dumps(made, ensure_ascii=False).encode(), None)] if made else []
            yield Page(record, {"done": True}, done=True)
        elif stream in RULES:
            pages = super().pages(stream, start, parents, view=view)
            every = [self._shaped(stream, one) for page in pages for one in page.records]
            yield Page(_in_order(every), {"done": True}, done=True)
        else:
            for page in super().pages(stream, start, parents, view=view):
                done = stream in BELONGS  # each list was shaped when it came
                records = page.records if done else [self._shaped(stream, one) for one in page.records]
                yield replace(page, records=records)

    def child(self, spec: Stream, parent: str) -> list[Raw]:
        """Return the articles, or the links, of one ticket."""
        if spec.path.startswith("/links"):
            return _links(parent, self._read(spec.path.replace("{parent}", parent)).get("links") or ())
        return [self._shaped("ticket_articles", one) for one in super().child(spec, parent)]

    def peek(self, kind: str, variant_name: str, targets: Sequence[tuple[str, str | None]]) -> tuple[str, list[Raw]]:
        """Return the stream of a kind's variant and the records there (id, its owner's) as they stand now."""
        variant = self.mapping.variant(kind, variant_name)
        ids = list(dict.fromkeys(there.removeprefix(variant.prefix) for there, _ in targets))
        if variant.stream == "tickets":
            numbers = list(dict.fromkeys(id.partition(":")[0] for id in ids))
            with ThreadPoolExecutor(self.workers) as pool:
                return "tickets", [found.ticket for found in pool.map(self.looked, numbers) if found]
        if variant.stream in MADE:
            found = [one for page in self.pages(variant.stream, None, lambda _: ()) for one in page.records]
            return variant.stream, [one for one in found if one.id in set(ids)]
        stream, records = super().peek(kind, variant_name, targets)
        return stream, records if stream in BELONGS else [self._shaped(stream, one) for one in records]

    # ---- tickets ----------------------------------------------------------------------------------------------------

    def _ticket_pages(self, start: Cursor | None, parents: Callable[[str], Iterable[str]]) -> Iterator[Page]:
        """Yield the tickets, looked at one by one, with their articles; then what the pages overlooked.

        The list is numbered pages by id: a ticket that is deleted meanwhile moves the others, so the list is gone
        through again, without looking at what is known. What was staged and is gone is told as deleted. The cursor is
        ``{"page": where the first pass goes on}``.
        """
        spec = self.manifest.streams["tickets"]
        known: dict[str, str | None] = dict(parents("tickets")) if start else {}  # type: ignore[arg-type]
        number = first = int((start or {}).get("page", 1))
        for page in self._list(spec, spec.path, dict(spec.params), {"of": 0, "params": {"page": number}}):
            number += 1
            if page.records:
                yield self._seen(page.records, known, {"goes_on": True, "page": number})
        if start or number > first + 2:
            yield from self._overlooked(spec, known)
        yield Page([], {"goes_on": True}, done=True)

    def _overlooked(self, spec: Stream, known: dict[str, str | None]) -> Iterator[Page]:
        staged, cursor = set(known), {"goes_on": True, "page": 10**9}
        for _ in range(PASSES):
            last = max((int(id) for id in known), default=0)
            listed: set[str] = set()
            missed = False
            for page in self._list(spec, spec.path, dict(spec.params), None):
                listed |= {one.id for one in page.records}
                missed = missed or any(one.id not in known and int(one.id) <= last for one in page.records)
                if any(known.get(one.id, "") != one.updated_at for one in page.records):
                    yield self._seen(page.records, known, cursor)
            if not missed:
                break
        gone = sorted((id for id in staged - listed if known[id] is not None), key=int)
        if deleted := [id for id in gone if self.looked(id) is None]:
            records = [Raw(id, json.dumps({"id": int(id), "_deleted": True}).encode()) for id in deleted]
            yield Page(records, cursor, False, whole={stream: {id: [] for id in deleted} for stream in BELONGS})

    def _seen(self, listed: list[Raw], known: dict[str, str | None], cursor: Cursor) -> Page:
        """Return the page of the listed tickets that are new or changed, as their own address shows them."""
        due = [one.id for one in listed if one.id not in known or known[one.id] != one.updated_at]
        with ThreadPoolExecutor(self.workers) as pool:
            found = [one for one in pool.map(self.looked, due) if one]
        known.update({one.ticket.id: one.ticket.updated_at for one in found})
        also = {stream: [record for one in found for record in one.belongs[stream]] for stream in BELONGS}
        whole = {
            stream: {one.ticket.id: [record.id for record in one.belongs[stream]] for one in found}
            for stream in BELONGS
        }
        return Page([one.ticket for one in found], cursor, False, also, whole)

    def looked(self, id: str) -> Looked | None:
        """Return a ticket with what belongs to it, None where it is gone: one call tells all."""
        try:
            answer = self._read(f"/tickets/{id}", {"all": "true"})
        except AbsentError:
            return None
        return self.whole(answer)

    def whole(self, answer: Native) -> Looked:
        """Return the ticket, the articles and the links of an answer that tells all."""
        id, assets = str(answer["ticket_id"]), answer["assets"]
        mentions = assets.get("Mention") or {}
        told = [mentions.get(str(one)) for one in answer.get("mentions") or ()]
        native: Native = {**assets["Ticket"][id], "tags": answer.get("tags") or []}
        native["_followers"] = [one["user_id"] for one in told if one]
        held = assets.get("TicketArticle") or {}
        articles = [self._shaped("ticket_articles", _raw(held[str(one)], id)) for one in answer["ticket_article_ids"]]
        belongs = {"ticket_articles": articles, "links": _links(id, answer.get("links") or ())}
        return Looked(self._shaped("tickets", _raw(native)), belongs)

    # ---- shapes -----------------------------------------------------------------------------------------------------

    def _shaped(self, stream: str, record: Raw) -> Raw:
        """Return a record with what its mapping reads beside the vendor's own words."""
        shape = getattr(self, f"_shape_{stream}", None)
        if shape is None and stream in RULES:
            shape = self._shape_rules
        if shape is None:
            return record
        native = json.loads(record.body)
        if object := OBJECTS.get(stream):
            own = self.own_fields.get(object, {})
            native["_custom"] = {name: native.pop(name) for name in sorted(own.keys() & native.keys())}
        return replace(record, body=json.dumps(shape(native), ensure_ascii=False).encode())

    def _shape_users(self, native: Native) -> Native:
        rights = {one for role in native.get("role_ids") or () for one in self.rights.get(int(role), ())}
        boss = "admin" in rights
        staff = boss or any(one in ("ticket", "ticket.agent") or one.startswith("admin.") for one in rights)
        told: Native = {"_is": "agent" if staff else "contact", "_role": "admin" if boss else "agent"}
        told |= {"_details": as_text(native.get("note")), "_nobody": str(native.get("id")) == NOBODY}
        return {**native, **told, "_name": full_name(native)}

    def _shape_rules(self, native: Native) -> Native:
        return {**in_words(native, self.table), "_details": as_text(native.get("note"))}

    def _shape_core_workflows(self, native: Native) -> Native:
        return workflows.told(native, self.table, self.own_fields)

    def _shape_webhooks(self, native: Native) -> Native:
        return {**native, "_details": as_text(native.get("note"))}

    def _shape_organizations(self, native: Native) -> Native:
        return {**native, "_details": as_text(native.get("note"))}

    def _shape_groups(self, native: Native) -> Native:
        return {**native, "_details": as_text(native.get("note"))}

    def _shape_tickets(self, native: Native) -> Native:
        state, priority = native.get("state_id"), native.get("priority_id")
        told = {"_state": self.states.get(int(state)) if state else None}
        told["_priority"] = self.priorities.get(int(priority)) if priority else None
        return {**native, **told}

    def _shape_ticket_articles(self, native: Native) -> Native:
        root = f"{self.client.base_url}/ticket_attachment"
        files = [{**one, "_url": f"{root}/{native['ticket_id']}/{native['id']}/{one['id']}"} for one in _files(native)]
        files = [{**one, **self._picture(one["_url"])} if one["_inline"] else one for one in files]
        shaped = {**native, "attachments": files}
        if "html" not in str(native.get("content_type") or "").lower():
            shaped["_html"] = as_html(str(native.get("body") or ""))
        return shaped

    def _picture(self, url: str) -> Native:
        """Return what its own address tells of a picture within a text, which no list describes."""
        try:
            answer = self.client.read(url)
            size = max(len(answer.content), len(self.client.read(url).content))  # nothing else tells of one cut short
        except (AbsentError, AccessError):
            return {}  # gone, or not ours to see: its bytes will be told as missing
        named = re.search(r'filename="([^"]+)"', answer.headers.get("Content-Disposition", ""))
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        told: Native = {"size": size, "preferences": {"Mime-Type": kind or "application/octet-stream"}}
        return {**told, "filename": named[1]} if named else told

    def _shape_object_manager_attributes(self, native: Native) -> Native:
        return {**native, "_built_in": _built_in(native), "_options": options(native)}

    # ---- check ------------------------------------------------------------------------------------------------------

    def check(self) -> list[Finding]:
        """Try the credentials and the rights; tickets of a group that is closed to the token's owner are not shown."""
        findings = super().check()
        if not findings[0].ok:
            return findings
        try:
            groups = {str(one["id"]): str(one["name"]) for one in self._read("/groups")}
        except MigratorError:
            return findings  # told already
        held = self.me.get("group_ids") or {}
        closed = [name for id, name in groups.items() if not ({"full"} & set(held.get(id) or ()) or id in ours(held))]
        said = f"no full access to {', '.join(closed)}: their tickets are neither seen nor written" if closed else ""
        return [*findings, Finding("to see the tickets of every group", not closed, said)]


# ---- values ----------------------------------------------------------------------------------------------------------


def ours(ways: dict[str, list[str]]) -> set[str]:
    """Return the groups to which these ways are the ones we give ourselves."""
    return {group for group, held in ways.items() if set(held) == set(OURS)}


def _raw(native: Native, parent: str | None = None) -> Raw:
    body = json.dumps(native, ensure_ascii=False).encode()
    return Raw(str(native["id"]), body, str(native["updated_at"]), parent)


def _in_order(rules: Sequence[Raw]) -> list[Raw]:
    """Return rules with their place, which Zammad itself tells by their names: overviews by a number first."""
    natives = sorted(
        (json.loads(one.body) for one in rules), key=lambda one: (one.get("prio") or 0, one["name"].lower())
    )
    return [_raw({**native, "_position": at}) for at, native in enumerate(natives, 1)]


def _links(ticket: str, links: Iterable[Native]) -> list[Raw]:
    """Return the links a ticket tells of, each told once: by the parent, or by the lower number of two equals."""
    found = []
    for one in links:
        how, other = one.get("link_type"), str(one.get("link_object_value"))
        if one.get("link_object") == "Ticket" and (how == "child" or (how == "normal" and int(ticket) < int(other))):
            body = {**one, "id": f"{ticket}:{how}:{other}", "ticket_id": int(ticket)}
            found.append(Raw(str(body["id"]), json.dumps(body).encode(), None, ticket))
    return found


def _members(group: Raw) -> list[Raw]:
    native = json.loads(group.body)
    found = []
    for user in native.get("user_ids") or ():
        body = {"id": f"{native['id']}:{user}", "group_id": native["id"], "user_id": user}
        found.append(Raw(str(body["id"]), json.dumps(body).encode()))
    return found


def days_off(calendar: Raw) -> list[Raw]:
    """Return the days off of a calendar; days that follow each other under one name are one."""
    native = json.loads(calendar.body)
    runs: list[Native] = []
    for day, one in sorted((native.get("public_holidays") or {}).items()):
        name = str(one.get("summary") or "")
        if not one.get("active") or one.get("removed"):
            continue
        last = runs[-1] if runs else None
        if (
            last
            and last["name"] == name
            and date.fromisoformat(last["last"]) + timedelta(days=1) == date.fromisoformat(day)
        ):
            last["last"] = day
        else:
            id = f"{native['id']}:{day}"
            runs.append({"id": id, "calendar_id": native["id"], "name": name, "first": day, "last": day})
    return [Raw(str(one["id"]), json.dumps(one, ensure_ascii=False).encode()) for one in runs]


def _files(article: Native) -> list[Native]:
    """Return an article's files: those it lists, and the pictures within its text, which it does not."""
    listed = [{**one, "_inline": False} for one in article.get("attachments") or ()]
    known = {str(one["id"]) for one in listed}
    for _, _, id in dict.fromkeys(INLINE.findall(str(article.get("body") or ""))):
        if id not in known:
            listed.append({"id": int(id), "filename": f"picture-{id}", "preferences": {}, "_inline": True})
    return listed


def _built_in(attribute: Native) -> bool:
    """Tell whether an attribute is Zammad's own. ``type`` of tickets may be edited, and every Zammad has it.

    So are those of groups and articles, whose own fields nothing else has a place for.
    """
    own = (attribute.get("object"), attribute.get("name")) == ("Ticket", "type")
    return own or not attribute.get("editable") or attribute.get("object") not in OBJECTS.values()


def options(attribute: Native) -> list[Native]:
    """Return the options of a choice in one shape: ``value`` and ``name``; those of a tree with their way to them."""
    if attribute.get("data_type") not in ("select", "multiselect", "tree_select", "multi_tree_select"):
        return []
    held = (attribute.get("data_option") or {}).get("options") or {}
    if isinstance(held, dict):
        return [{"value": str(value), "name": str(label)} for value, label in held.items() if str(value)]
    return list(_tree(held, ""))


def _tree(nodes: Sequence[Native], way: str) -> Iterator[Native]:
    for one in nodes:
        label = f"{way}{one.get('name') or one.get('value')}"
        yield {"value": str(one.get("value")), "name": label}
        yield from _tree(one.get("children") or (), f"{label}::")


def full_name(user: Native) -> str:
    """Return first and last name as one; the address where there is neither."""
    name = " ".join(part for part in (user.get("firstname"), user.get("lastname")) if part)
    return name or str(user.get("email") or user.get("login") or "")


def as_text(note: str | None) -> str:
    """Return a note, which Zammad keeps as HTML, as the text it says."""
    lines = re.sub(r"<br\s*/?>|</(?:div|p)>\s*(?=<(?:div|p)\b)", "\n", note or "", flags=re.IGNORECASE)
    return html.unescape(re.sub(r"<[^>]*>", "", lines))


def as_html(text: str) -> str:
    """Return plain text as HTML that says the same."""
    return html.escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>")
