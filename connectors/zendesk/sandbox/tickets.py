"""Writing tickets: create, import with history, change, delete, rate; and the batches of each."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from .answers import Refused, address, forbidden, id_list, invalid, me, payload, reply, route, seconds, too_many_values
from .files import claim
from .jobs import start, ticket_result
from .people import tag_list, write
from .reads import get

MAX_COMMENT = 65_535
MAX_COMMENTS = 5_000
STATUSES = ("new", "open", "pending", "hold", "solved", "closed")
CUSTOM_STATUS_IDS = {status: 900_000_000_040 + min(place, 4) for place, status in enumerate(STATUSES)}  # closed: solved
TYPES = ("problem", "incident", "question", "task")
PRIORITIES = ("urgent", "high", "normal", "low")
SETTABLE = (
    "external_id type subject raw_subject priority status recipient requester_id submitter_id assignee_id "
    "organization_id group_id collaborator_ids follower_ids email_cc_ids problem_id due_at tags brand_id "
    "ticket_form_id custom_status_id"
).split()
NOWHERE: Native = {"from": {}, "to": {}, "rel": None}


def _moment(given: Native, field: str, default: str) -> str:
    text = given.get(field)
    if not text:
        return default
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise invalid(**{field: (f"{field}: is not a date", "InvalidValue")}) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _references(box: Sandbox, given: Native) -> None:
    for field in ("requester_id", "submitter_id", "assignee_id"):
        if given.get(field) is not None and given[field] not in box.store["users"]:
            name = field.removesuffix("_id")
            raise invalid(**{name: (f"{name.capitalize()}: is invalid", "InvalidValue")})
    for field, stream in (
        ("group_id", "groups"),
        ("organization_id", "organizations"),
        ("brand_id", "brands"),
        ("ticket_form_id", "ticket_forms"),
        ("problem_id", "tickets"),
    ):
        if given.get(field) is not None and given[field] not in box.store[stream]:
            name = field.removesuffix("_id")
            raise invalid(**{name: (f"{name.replace('_', ' ').capitalize()}: is invalid", "InvalidValue")})
    assignee = box.store["users"].get(given.get("assignee_id"))
    if assignee and assignee.get("role") == "end-user":
        raise invalid(assignee=("Assignee: is not an agent", "InvalidValue"))


def _counted(box: Sandbox, given: Native, ticket: Native) -> None:
    """Give a ticket the status that its custom status counts as, or the custom status that its status begins with."""
    number = given.get("custom_status_id")
    if number is None:
        counts = "solved" if ticket["status"] == "closed" else ticket["status"]
        held = box.store["custom_statuses"].get(ticket.get("custom_status_id"))
        if held is None or held["status_category"] != counts:
            first = [one for one in box.store["custom_statuses"].values() if one.get("default")]
            number = next((one["id"] for one in first if one["status_category"] == counts), None)
            ticket["custom_status_id"] = number or CUSTOM_STATUS_IDS[ticket["status"]]
        return
    if number not in box.store["custom_statuses"]:
        raise invalid(custom_status=("Custom status: is invalid", "InvalidValue"))
    category = box.store["custom_statuses"][number]["status_category"]
    if given.get("status") not in (None, category, *(["closed"] if category == "solved" else [])):
        raise invalid(custom_status=("Custom status: is not of the status' category", "InvalidValue"))
    ticket["status"] = given.get("status") or category


def _custom(box: Sandbox, given: Any, ticket: Native) -> None:
    """Keep values of fields that exist, drop the others; a choice adds its tag."""
    fields = [row for row in box.store["ticket_fields"].values() if row.get("removable", True) and row["active"]]
    values = {row["id"]: None for row in fields} | {
        row["id"]: row["value"] for row in ticket.get("custom_fields", []) if row["id"] in box.store["ticket_fields"]
    }
    sent = given if isinstance(given, list) else [{"id": key, "value": value} for key, value in (given or {}).items()]
    for item in sent:
        number = int(item["id"])
        if number not in values:
            continue
        field, value = box.store["ticket_fields"][number], item.get("value")
        options = {option["value"] for option in field.get("custom_field_options", [])}
        if field["type"] == "tagger" and value is not None and value not in options:
            value = None
        if field["type"] == "multiselect" and value is not None:
            value = [choice for choice in value if choice in options]
        if field["type"] == "date" and value and not re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)):
            raise invalid(base=(f"{field['title']}: is not a date", "InvalidValue"))
        values[number] = value
        chosen = value if isinstance(value, list) else [value] if field["type"] == "tagger" and value else []
        ticket["tags"] = tag_list([*ticket["tags"], *chosen])
    ticket["custom_fields"] = [{"id": key, "value": value} for key, value in values.items()]
    ticket["fields"] = list(ticket["custom_fields"])


def _comment(
    box: Sandbox, request: Request, ticket: Native, given: Native, *, dated: bool, via: str, first: bool
) -> Native:
    text = str(given.get("html_body") or given.get("body") or given.get("value") or "")
    if not text.strip():
        raise invalid(comment=("Comment: cannot be blank", "BlankValue"))
    if len(text) > MAX_COMMENT:
        raise invalid(comment=(f"Comment: is too long (maximum is {MAX_COMMENT} characters)", "ValueTooLong"))
    author = given.get("author_id") or (ticket["requester_id"] if first and dated else me(box)["id"])
    if author not in box.store["users"] and author != me(box)["id"]:
        raise invalid(author=("Author: is invalid", "InvalidValue"))
    if given.get("html_body"):
        markup = re.sub(r"(?is)<script.*?(</script>|$)", "", str(given["html_body"]))
        plain = html.unescape(re.sub(r"<[^>]*>", "", markup))
    else:
        plain = text
        markup = '<p dir="auto">' + html.escape(plain, quote=False).replace("\n", "<br>\n") + "</p>"
    number = box.next_id()
    files = claim(box, given.get("uploads"))
    comment: Native = {
        "id": number,
        "type": "Comment",
        "author_id": author,
        "body": plain,
        "html_body": f'<div class="zd-comment" dir="auto">{markup}</div>',
        "plain_body": plain,
        "public": bool(given.get("public", True)),
        "attachments": files,
        "audit_id": box.next_id(),
        "via": {"channel": via, "source": dict(NOWHERE)},
        "created_at": _moment(given, "created_at", ticket["created_at"]) if dated else box.now(),
        "metadata": _metadata(request),
    }
    return comment


def _status(given: Native) -> None:
    for field, allowed in (("status", STATUSES), ("type", TYPES), ("priority", PRIORITIES)):
        if given.get(field) is not None and given[field] not in allowed:
            raise invalid(
                **{field: (f"{field.capitalize()}: {given[field]} is not included in the list", "InvalidValue")}
            )


def _requester(box: Sandbox, request: Request, given: Native) -> int:
    if isinstance(given.get("requester"), dict):
        person = given["requester"]
        for user in box.store["users"].values():
            if person.get("email") and user.get("email") == person["email"].lower():
                return int(user["id"])
        return int(write(box, request, "users", person)["id"])
    return int(given.get("requester_id") or me(box)["id"])


def build(box: Sandbox, request: Request, given: Any, *, dated: bool) -> Native:
    """Create a ticket with its comments; ``dated`` keeps the dates given, as only imports do. Refuses with 422."""
    if not isinstance(given, dict):
        raise Refused(400, {"error": {"title": "Invalid attribute", "message": "The ticket must be an object"}})
    _status(given)
    _references(box, given)
    comments = given.get("comments") if dated else None
    if not comments:
        single = given.get("comment")
        single = {"body": single} if isinstance(single, str) else single
        comments = [single or {"body": given.get("description")}]
    if len(comments) > MAX_COMMENTS:
        raise invalid(base=(f"Comments: maximum is {MAX_COMMENTS} per ticket", "TooManyValues"))
    now, number = box.now(), max(box.store["tickets"], default=0) + 1
    requester = _requester(box, request, given)
    created = _moment(given, "created_at", now) if dated else now
    ticket: Native = {
        "url": address(request, f"tickets/{number}.json"), "id": number, "external_id": None,
        "via": {"channel": "api", "source": dict(NOWHERE)}, "created_at": created, "updated_at": created,
        "generated_timestamp": 0, "type": None, "subject": None, "raw_subject": None, "description": None,
        "priority": None, "status": "new", "recipient": None, "requester_id": requester,
        "submitter_id": requester if dated else me(box)["id"], "assignee_id": None, "organization_id": None,
        "group_id": None, "collaborator_ids": [], "follower_ids": [], "email_cc_ids": [], "forum_topic_id": None,
        "problem_id": None, "has_incidents": False, "is_public": True, "due_at": None, "tags": [],
        "custom_fields": [], "satisfaction_rating": None, "sharing_agreement_ids": [], "fields": [],
        "followup_ids": [], "ticket_form_id": _default(box, "ticket_forms"), "brand_id": _default(box, "brands"),
        "allow_channelback": False, "allow_attachments": True, "from_messaging_channel": False,
    }  # fmt: skip
    ticket.update({name: given[name] for name in SETTABLE if name in given})
    ticket.update(id=number, requester_id=requester, tags=tag_list(given.get("tags")))
    if "organization_id" not in given:
        ticket["organization_id"] = box.store["users"].get(requester, {}).get("organization_id")
    _custom(box, given.get("custom_fields") or given.get("fields"), ticket)
    made = [
        _comment(box, request, ticket, item or {}, dated=dated, via="api", first=place == 0)
        for place, item in enumerate(comments)
    ]
    for field in ("subject", "raw_subject"):
        ticket[field] = given.get("subject") or given.get("raw_subject")
    ticket["description"] = given.get("description") or made[0]["plain_body"]
    ticket["is_public"] = any(comment["public"] for comment in made)
    if dated:
        ticket["updated_at"] = _moment(given, "updated_at", max(comment["created_at"] for comment in made))
        if given.get("solved_at"):
            _moment(given, "solved_at", now)
    _counted(box, given, ticket)
    ticket["generated_timestamp"] = int(box.clock.now().timestamp())
    if dated and request.args.get("archive_immediately") == "true" and ticket["status"] == "closed":
        box.state["archived"].add(number)
    _store(box, ticket, made)
    return ticket


def _default(box: Sandbox, stream: str) -> int | None:
    return next((row["id"] for row in box.store[stream].values() if row.get("default")), None)


def _store(box: Sandbox, ticket: Native, made: list[Native]) -> None:
    box.store["tickets"][ticket["id"]] = ticket
    box.state["arrived"].setdefault(("tickets", ticket["id"]), box.clock.now().timestamp())
    for comment in made:
        box.store["ticket_comments"][comment["id"]] = {"ticket_id": ticket["id"], "comment": comment}
        box.state["comments_of"].setdefault(ticket["id"], []).append(comment["id"])
    box.state["revision"] += 1


def _batch(given: Any) -> list[Native]:
    if not isinstance(given, list):
        raise Refused(400, {"error": {"title": "Invalid attribute", "message": "tickets must be an array"}})
    if len(given) > 100:
        raise too_many_values()
    return given


@route("POST", "tickets")
def create(box: Sandbox, request: Request) -> Response:
    """Create a ticket, now; the dates given are dropped."""
    ticket = build(box, request, payload(request, "ticket"), dated=False)
    return reply({"ticket": ticket, "audit": _audit(box, request, ticket, [])}, 201, Location=ticket["url"])


@route("POST", "tickets/create_many")
def create_many(box: Sandbox, request: Request) -> Response:
    """Queue up to 100 new tickets."""
    given = _batch(payload(request, "tickets"))

    def work(item: Native) -> Native:
        return ticket_result(build(box, request, item, dated=False))

    return start(box, request, "Bulk Create Ticket", given, work)


@route("POST", "imports/tickets", admin=True)
def import_one(box: Sandbox, request: Request) -> Response:
    """Import a ticket with its history."""
    ticket = build(box, request, payload(request, "ticket"), dated=True)
    return reply({"ticket": ticket}, 201, Location=ticket["url"])


@route("POST", "imports/tickets/create_many", admin=True)
def import_many(box: Sandbox, request: Request) -> Response:
    """Queue the import of up to 100 tickets with their history."""
    given = _batch(payload(request, "tickets"))

    def work(item: Native) -> Native:
        return ticket_result(build(box, request, item, dated=True))

    return start(box, request, "Bulk Import Ticket", given, work)


def _metadata(request: Request) -> Native:
    place = {"location": "Nowhere", "latitude": 0.0, "longitude": 0.0}
    system = {"client": request.user_agent.string, "ip_address": request.remote_addr or "127.0.0.1", **place}
    return {"system": system, "custom": {}}


def _audit(box: Sandbox, request: Request, ticket: Native, events: list[Native]) -> Native:
    author = me(box)["id"]
    via = {"channel": "api", "source": dict(NOWHERE)}
    return {
        "id": box.next_id(),
        "ticket_id": ticket["id"],
        "created_at": ticket["updated_at"],
        "author_id": author,
        "metadata": _metadata(request),
        "events": events,
        "via": via,
    }


def amend(box: Sandbox, request: Request, key: int, given: Native) -> Native:
    """Change a ticket, perhaps with a new comment. Refuses closed tickets with 422. Returns the audit's events too."""
    old = get(box, "tickets", key)
    if old.get("status") == "closed":
        raise invalid(status=("Status: closed prevents ticket update", None))
    _status(given)
    _references(box, given)
    ticket = {**old, **{name: given[name] for name in SETTABLE if name in given}}
    if "tags" in given:
        ticket["tags"] = tag_list(given["tags"])
    _custom(box, given.get("custom_fields"), ticket)
    ticket["raw_subject"] = ticket["subject"]
    comment = given.get("comment")
    made = []
    if comment:
        comment = {"body": comment} if isinstance(comment, str) else comment
        made = [_comment(box, request, ticket, comment, dated=False, via="api", first=False)]
        author = made[0]["author_id"]
        if author == ticket["requester_id"] and old.get("status") in ("solved", "pending") and "status" not in given:
            ticket["status"] = "open"  # a reply by the requester re-opens
    ticket["updated_at"] = box.now()
    _counted(box, given, ticket)
    ticket["generated_timestamp"] = int(box.clock.now().timestamp())
    _store(box, ticket, made)
    changed = [name for name in SETTABLE if ticket.get(name) != old.get(name)]
    events = [
        {"id": box.next_id(), "type": "Change", "value": ticket[name], "field_name": name, "previous_value": old[name]}
        for name in changed
    ]
    events += [
        {
            "id": new["id"],
            "type": "Comment",
            "author_id": new["author_id"],
            "body": new["body"],
            "public": new["public"],
        }
        for new in made
    ]
    return {"ticket": ticket, "audit": _audit(box, request, ticket, events)}


@route("PUT", "tickets/<int:key>")
def change(box: Sandbox, request: Request, key: int) -> Response:
    """Change a ticket."""
    get(box, "tickets", key)
    return reply(amend(box, request, key, payload(request, "ticket")))


@route("PUT", "tickets/update_many")
def update_many(box: Sandbox, request: Request) -> Response:
    """Queue changes of up to 100 tickets, each with its id."""
    given = _batch(payload(request, "tickets"))

    def work(item: Native) -> Native:
        ticket = amend(box, request, int(item.get("id") or 0), item)["ticket"]
        return {"id": ticket["id"], "action": "update", "status": "Updated", "success": True}

    return start(box, request, "Bulk Update Ticket", given, work)


def _delete(box: Sandbox, key: int) -> None:
    ticket = get(box, "tickets", key)
    stamp = int(box.clock.now().timestamp())
    changes = {"status": "deleted", "updated_at": box.now(), "generated_timestamp": stamp}
    box.store["tickets"][key] = {**ticket, **changes}
    box.state["revision"] += 1


@route("DELETE", "tickets/<int:key>")
def delete(box: Sandbox, request: Request, key: int) -> Response:
    """Delete a ticket: exports still show it, with the status deleted."""
    _delete(box, key)
    return Response(status=204)


@route("DELETE", "tickets/destroy_many")
def destroy_many(box: Sandbox, request: Request) -> Response:
    """Queue the deletion of up to 100 tickets."""

    def work(item: Native) -> Native:
        _delete(box, item["id"])
        return {"id": item["id"], "action": "delete", "status": "Deleted", "success": True}

    given = [{"id": int(value)} for value in id_list(request)]
    return start(box, request, "Bulk Delete Ticket", given, work)


@route("PUT", "tickets/<int:key>/tags")
@route("POST", "tickets/<int:key>/tags")
def set_tags(box: Sandbox, request: Request, key: int) -> Response:
    """Set (POST) or add (PUT) a ticket's tags."""
    ticket = get(box, "tickets", key)
    given = payload(request, "tags")
    wanted = given if request.method == "POST" else [*ticket["tags"], *given]
    ticket = amend(box, request, key, {"tags": wanted})["ticket"]
    return reply({"tags": ticket["tags"]}, 201 if request.method == "POST" else 200)


@route("POST", "tickets/<int:key>/satisfaction_rating")
def rate(box: Sandbox, request: Request, key: int) -> Response:
    """Rate a solved ticket: only its requester may, so the admin of this sandbox may not unless the state says so."""
    ticket = get(box, "tickets", key)
    if not box.state["may_rate"] and ticket["requester_id"] != me(box)["id"]:
        raise forbidden()
    given = payload(request, "satisfaction_rating")
    if given.get("score") not in ("good", "bad"):
        raise invalid(score=("Score: is not included in the list", "InvalidValue"))
    if ticket["status"] not in ("solved", "closed"):
        raise invalid(base=("Ticket: must be solved", "InvalidValue"))
    number, now = box.next_id(), box.now()
    rating: Native = {
        "url": address(request, f"satisfaction_ratings/{number}.json"),
        "id": number,
        "assignee_id": ticket["assignee_id"],
        "group_id": ticket["group_id"],
        "requester_id": ticket["requester_id"],
        "ticket_id": key,
        "score": given["score"],
        "created_at": now,
        "updated_at": now,
        "comment": given.get("comment"),
    }
    box.store["satisfaction_ratings"][number] = rating
    short = {"score": rating["score"], "id": number, "comment": rating["comment"]}
    changes = {"satisfaction_rating": short, "updated_at": now, "generated_timestamp": seconds(now)}
    box.store["tickets"][key] = {**ticket, **changes}
    return reply({"satisfaction_rating": rating})
