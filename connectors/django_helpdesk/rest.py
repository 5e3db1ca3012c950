"""The REST API: one reading of everything it shows, and tickets and follow-ups written so that nothing acts on them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import PurePosixPath
from typing import Any

from migrator.connector import Child, Unit, Written
from migrator.errors import (
    AbsentError,
    AccessError,
    RefusedError,
    RetryError,
    TruncatedError,
    UnknownOutcomeError,
    VendorError,
)
from migrator.http import Client

from .shape import Native, People, agent, person, thread
from .snapshot import Snapshot

log = logging.getLogger(__name__)

# What HELPDESK_VALID_EXTENSIONS holds where nobody set it (settings.py of 2.6.1); no ending at all is always taken.
ENDINGS = {"", ".txt", ".asc", ".pdf", ".doc", ".docx", ".odt", ".jpg", ".png", ".eml"}
OPEN = 1
TYPES = {"string": "varchar", "integer": "integer", "decimal": "decimal", "float": "decimal", "choice": "list"}
MOST_LISTED = 1000  # people the API's own form lists (rest_framework, html_cutoff)
DOUBT_SECONDS = 120  # clocks differ: look back this much before a call was sent
TAIL = 200  # follow-ups a page, read from the newest on
TRIES = 4


# ---- reading ---------------------------------------------------------------------------------------------------------


def take(client: Client, options: Mapping[str, str], size: int) -> tuple[Snapshot, People, int]:
    """Read everything the API shows; return it, who is who, and how many tickets the vendor counts."""
    snapshot, people, seen, count = Snapshot(), People(), set[str](), 0
    queues, users = chooser(client)
    snapshot.add("queues", [{"id": number, "title": title} for number, title in queues.items()])
    for number, name in users.items():
        email = options.get(name) or (name if "@" in name else None)
        people.add_staff(number, email)
        snapshot.add("users", [agent(number, {"username": name, "email": email})])
    snapshot.add("custom_fields", custom_fields(client))
    for page, total in pages(client, "/tickets/", size):
        count = total
        for listed in page:
            custom = {name[7:]: listed.pop(name) for name in list(listed) if name.startswith("custom_")}
            native, followups, files = thread(listed, listed.pop("followup_set"), people)
            snapshot.add("tickets", [{**native, "_custom": custom}], "modified")
            snapshot.add("followups", followups, "date", "ticket")
            snapshot.add("attachments", files, parent="followup")
            who = native["_requester"]
            if who and not who.isdecimal() and who not in seen:
                seen.add(who)
                snapshot.add("people", [person(who, {})])
    return snapshot, people, count


def pages(client: Client, path: str, size: int) -> Iterator[tuple[list[Native], int]]:
    """Yield the pages of a list, with the number of all records."""
    number, more = 1, True
    while more:
        try:
            answer = client.read(path, {"page_size": size, "page": number}).json()
        except AbsentError:
            if number == 1:
                raise
            return  # what stood there was deleted meanwhile
        yield answer["results"], int(answer["count"])
        number, more = number + 1, bool(answer["next"])


def latest(client: Client) -> set[int]:
    """Return the tickets of the newest follow-ups: among them is every one that somebody made a moment ago."""
    last = max(1, -(-int(client.read("/followups/", {"page_size": 1}).json()["count"]) // TAIL))
    newest = client.read("/followups/", {"page_size": TAIL, "page": last}).json()["results"]
    return {int(one["ticket"]) for one in newest}


def chooser(client: Client) -> tuple[dict[str, str], dict[str, str]]:
    """Return queues and people, number to name: no list of the API has them, only its form for browsers does."""
    try:
        page = client.read("/tickets/", {"format": "api", "page_size": 1}).text
    except AbsentError as err:
        said = "django-helpdesk's API shows no form to browsers here, and without it nobody can tell queues and people"
        raise VendorError(f"{said}; use the channel `fixtures`") from err
    form = _Selects()
    form.feed(page)
    people = form.found.get("assigned_to", {})
    if len(people) >= MOST_LISTED:
        raise TruncatedError(
            f"django-helpdesk's API lists {len(people)} people and no more; use the channel `fixtures`"
        )
    return form.found.get("queue", {}), people


class _Selects(HTMLParser):
    """Collects the options of every ``select`` of a page: name to value to label."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: dict[str, dict[str, str]] = {}
        self._in, self._value = "", ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where we are."""
        held = dict(attrs)
        if tag == "select":
            self._in = held.get("name") or ""
        elif tag == "option":
            self._value = held.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        """Leave an option."""
        if tag in ("option", "select"):
            self._value = ""

    def handle_data(self, data: str) -> None:
        """Take an option's label. The form's first ``select`` of a name counts."""
        if self._value and self._in and data.strip():
            self.found.setdefault(self._in, {}).setdefault(self._value, data.strip())


def custom_fields(client: Client) -> list[Native]:
    """Return the custom fields, as the API describes what a new ticket may hold."""
    for attempt in range(1, TRIES + 1):
        try:
            described = client.write("OPTIONS", "/tickets/").json()["actions"]["POST"]
            break
        except (UnknownOutcomeError, ValueError, KeyError) as err:  # asking changes nothing: it may be done again
            if attempt == TRIES:
                raise VendorError(f"OPTIONS /tickets/: {err}; tried {attempt} times") from err
            client.sleep(float(attempt))
    found = []
    for place, (label, held) in enumerate(described.items()):
        if label.startswith("custom_"):
            options = [str(choice["value"]) for choice in held.get("choices") or [] if choice["value"] != ""]
            kind = TYPES.get(held["type"], held["type"])
            more = {"required": bool(held.get("required")), "help_text": held.get("help_text"), "ordering": place}
            name = label.removeprefix("custom_")
            shown = {"id": name, "name": name, "label": held["label"], "data_type": kind, "_options": options}
            found.append({**shown, **more, "max_length": held.get("max_length")})
    return found


# ---- writing ---------------------------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """Return a comment that reads as it is after the server rendered it: follow-ups pass through Django's templates."""
    return text.replace("{", '{{ "{" }}').replace("%}", '%{{ "}" }}')


class Writer:
    """Writes tickets and follow-ups. Each is one call and what completes it, which may be done again at any point."""

    def __init__(self, client: Client, people: People, queue: str) -> None:
        self.client, self.people, self.queue = client, people, queue

    def ticket(self, unit: Unit) -> Written:
        """Make a ticket with its first message."""
        body = self.ticket_body(unit)
        answer = self._post("/tickets/", body)
        with _begun(f"ticket {answer['id']}"):
            return self._ticket_done(unit, str(answer["id"]), answer["followup_set"][0], [])

    def ticket_body(self, unit: Unit) -> Native:
        """Return what is sent for a ticket. Raises RefusedError where the requester's address is not known."""
        held = dict(unit.payload)
        custom, who = held.pop("_custom", None) or {}, str(held.pop("_requester"))
        held.pop("_state", None)
        email = self.people.address_of(who)
        if not email:
            raise RefusedError(f"{unit.kind} {unit.id}: nobody told the address of user {who}; say it in `options`")
        opening = next((child for child in unit.children if child.kind == "message"), None)
        said = opening.payload.get("comment") if opening else f"(no public first message) [{unit.key}]"
        held = {label: value for label, value in held.items() if value is not None}
        queue = held.pop("queue", None) or self.queue
        named = {f"custom_{name}": value for name, value in custom.items()}
        return {**held, **named, "queue": queue, "submitter_email": email, "description": said}

    def _ticket_done(self, unit: Unit, ticket: str, opening: Native, later: Sequence[Native]) -> Written:
        """Complete a ticket: the first message's author and files, then the status, as a follow-up without words."""
        state = unit.payload.get("_state", OPEN)
        children: dict[tuple[str, str], str] = {}
        for child in unit.children:
            if child.kind == "message":
                children["message", child.id] = str(opening["id"])
                author = self._user(child.payload.get("_author"))
                if opening["user"] != author:
                    self._patch(opening["id"], {"user": author})
                children |= self._files(unit.children, child.id, opening)
        if state != OPEN and not any(one.get("new_status") == state for one in later):
            # A call of PATCH /tickets works through every ticket's custom values; a follow-up does not.
            self._post("/followups/", {"ticket": int(ticket), "comment": "", "public": False, "new_status": state})
        return Written(ticket, None, children)

    def message(self, unit: Unit) -> Written:
        """Make a follow-up: as a private one, of which the server mails no customer, then public and by its author."""
        comment = quoted(str(unit.payload["comment"]))
        ticket = int(unit.refs["ticket"])
        answer = self._post("/followups/", {"ticket": ticket, "comment": comment, "public": False})
        with _begun(f"follow-up {answer['id']}"):
            return self._message_done(unit, answer)

    def _message_done(self, unit: Unit, held: Native) -> Written:
        wanted = {"user": self._user(unit.payload.get("_author")), "public": bool(unit.payload["public"])}
        if any(held[label] != value for label, value in wanted.items()):
            self._patch(held["id"], wanted)
        return Written(str(held["id"]), None, self._files(unit.children, None, held))

    def _user(self, author: Any) -> int | None:
        return int(author) if author is not None and str(author).isdecimal() else None

    def _files(self, children: Sequence[Child], owner: str | None, held: Native) -> dict[tuple[str, str], str]:
        """Hand in the files that a follow-up does not have yet, one by one, in their order."""
        there = sorted(held.get("followupattachment_set") or [], key=lambda one: int(one["id"]))
        wanted = [child for child in children if child.kind == "attachment" and child.owner == owner]
        found: dict[tuple[str, str], str] = {}
        for child in wanted:
            name = str(child.payload["filename"])
            size = child.blob.stat().st_size if child.blob else 0
            same = next((one for one in there if one["filename"] == name and one["size"] == size), None)
            if same:
                there.remove(same)
            else:
                try:
                    same = self._upload(held["id"], child, name)
                except RefusedError as err:  # the message is there: verify will miss the file, and the others go on
                    log.warning("file refused", extra={"unit": child.id, "status": err.status, "answer": err.answer})
                    continue
            found["attachment", child.id] = str(same["id"])
        return found

    def _upload(self, followup: Any, child: Child, name: str) -> Native:
        assert child.blob is not None
        ending = PurePosixPath(name).suffix.lower()
        # Of another ending the server would take none (and answer 500 after a follow-up was made): without an ending it
        # is served as bytes and nothing else, and its name is kept beside.
        stored = name if ending in ENDINGS else name.replace(".", "_")
        form: Native = {"followup": str(followup), "filename": name}
        if child.payload.get("mime_type"):
            form["mime_type"] = str(child.payload["mime_type"])
        file = (stored, child.blob.read_bytes())  # whole: a call that is tried again sends it again
        return _answered(self.client.write("POST", "/followups-attachments/", data=form, files={"file": file}))

    def _post(self, path: str, body: Native) -> Native:
        return _answered(self.client.write("POST", path, json=body))

    def _patch(self, followup: Any, body: Native) -> None:
        self.client.write("PATCH", f"/followups/{followup}/", json=body)

    # ---- doubt ------------------------------------------------------------------------------------------------------

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made, among the newest follow-ups, and complete it."""
        since = datetime.fromisoformat(min(unit.sent_at for unit in units)) - timedelta(seconds=DOUBT_SECONDS)
        recent = list(self._newest(since.timestamp()))
        found: list[Written | None] = []
        for unit in units:
            if unit.kind == "ticket":
                found.append(self._find_ticket(unit, recent, known))
            else:
                found.append(self._find_message(unit, recent, known))
            one = found[-1]
            if one:
                known = known | {one.id}
        return found

    def _newest(self, since: float) -> Iterator[Native]:
        """Yield follow-ups from a moment on, oldest first: the list is in the order of their dates."""
        last = max(1, -(-int(self.client.read("/followups/", {"page_size": 1}).json()["count"]) // TAIL))
        held: list[list[Native]] = []
        for number in range(last, 0, -1):
            try:
                page = self.client.read("/followups/", {"page_size": TAIL, "page": number}).json()["results"]
            except AbsentError:
                continue
            held.append(page)
            if page and datetime.fromisoformat(page[0]["date"]).timestamp() < since:
                break
        for page in reversed(held):
            yield from (one for one in page if datetime.fromisoformat(one["date"]).timestamp() >= since)

    def _find_ticket(self, unit: Unit, recent: Sequence[Native], known: set[str]) -> Written | None:
        said = self.ticket_body(unit)["description"]
        for one in recent:
            ticket = str(one["ticket"])
            if ticket not in known and _same(one["comment"], said) and (one["title"] or "").startswith("Ticket Opened"):
                later = [other for other in recent if other["ticket"] == one["ticket"] and other["id"] != one["id"]]
                return self._ticket_done(unit, ticket, one, later)
        return None

    def _find_message(self, unit: Unit, recent: Sequence[Native], known: set[str]) -> Written | None:
        for one in recent:
            fits = str(one["ticket"]) == unit.refs["ticket"] and _same(one["comment"], unit.payload["comment"])
            if fits and str(one["id"]) not in known:
                return self._message_done(unit, one)
        return None


@contextmanager
def _begun(what: str) -> Iterator[None]:
    """Whatever ends the completing of a record that is there already leaves its outcome to be looked up."""
    try:
        yield
    except (RetryError, AccessError) as err:
        raise UnknownOutcomeError(f"{what} is there and not complete: {err}") from err


def _same(theirs: str | None, ours: Any) -> bool:
    return (theirs or "").replace("\r\n", "\n").strip() == str(ours or "").replace("\r\n", "\n").strip()


def _answered(response: Any) -> Native:
    try:
        answer = response.json()
        return {**answer, "id": answer["id"]}
    except (json.JSONDecodeError, ValueError, KeyError, TypeError) as err:
        raise UnknownOutcomeError(f"{response.status_code}, with an unreadable answer") from err
