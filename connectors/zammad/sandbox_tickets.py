"""Zammad's tickets, articles and files (app/controllers/tickets_controller.rb, concerns/creates_ticket_articles.rb)."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_belongings as belongings
from . import sandbox_html as markup
from . import sandbox_people as people
from . import sandbox_rules as rules
from . import sandbox_selector as selector
from . import sandbox_workflows as workflows
from .sandbox_rules import API, Refusal, answer, routes

TICKET: Native = {
    "group_id": None, "priority_id": None, "state_id": None, "organization_id": None, "number": None, "title": None,
    "owner_id": None, "customer_id": None, "note": None, "first_response_at": None,
    "first_response_escalation_at": None, "first_response_in_min": None, "first_response_diff_in_min": None,
    "close_at": None, "close_escalation_at": None,
    "close_in_min": None, "close_diff_in_min": None, "update_escalation_at": None, "update_in_min": None,
    "update_diff_in_min": None, "last_close_at": None, "last_contact_at": None, "last_contact_agent_at": None,
    "last_contact_customer_at": None, "last_owner_update_at": None, "create_article_type_id": None,
    "create_article_sender_id": None, "article_count": None, "escalation_at": None, "pending_time": None, "type": None,
    "time_unit": None, "preferences": {},
}  # fmt: skip
ARTICLE: Native = {
    "ticket_id": None, "type_id": None, "sender_id": None, "from": None, "to": None, "cc": None, "subject": None,
    "reply_to": None, "message_id": None, "message_id_md5": None, "in_reply_to": None, "content_type": "text/plain",
    "body": "", "internal": False, "preferences": {}, "origin_by_id": None,
}  # fmt: skip
TYPES = {
    1: "email", 2: "sms", 3: "chat", 4: "fax", 5: "phone", 6: "twitter status", 7: "twitter direct-message",
    8: "facebook feed post", 9: "facebook feed comment", 10: "note", 11: "web", 12: "telegram personal-message",
    13: "facebook direct-message", 14: "whatsapp message",
}  # fmt: skip
SENDERS = {1: "Agent", 2: "Customer", 3: "System"}
STATES = ("new", "open", "pending reminder", "closed", "merged", "removed", "pending close")
PRIORITIES = ("1 low", "2 normal", "3 high")
BODY_MAX = 1_500_000
NAMES = {
    "group": ("groups", "name"), "state": ("ticket_states", "name"), "priority": ("ticket_priorities", "name"),
    "owner": ("users", "login"), "customer": ("users", "login"), "organization": ("organizations", "name"),
}  # fmt: skip
REFERENCES = {
    "group_id": "groups", "state_id": "ticket_states", "priority_id": "ticket_priorities", "owner_id": "users",
    "customer_id": "users", "organization_id": "organizations",
}  # fmt: skip


def furnish(box: Sandbox) -> None:
    """Put in the states and priorities every Zammad has."""
    for name in STATES:
        kind = {"pending close": "pending action"}.get(name, name)
        rules.made(box, "ticket_states", {"name": name, "state_type": kind, "active": name != "removed", "note": None})
    for name in PRIORITIES:
        rules.made(box, "ticket_priorities", {"name": name, "default_create": name == "2 normal", "active": True})


# ---- views -----------------------------------------------------------------------------------------------------------


def _articles(box: Sandbox, ticket: int) -> list[Native]:
    ids = box.state["articles_of"].get(ticket, [])
    held = [box.store["ticket_articles"][id] for id in ids]
    return sorted(held, key=lambda article: (article["created_at"], article["id"]))


def _view(box: Sandbox, record: Native) -> Native:
    ids = sorted((article["id"] for article in _articles(box, record["id"])), reverse=True)
    return {**record, "article_ids": ids, "ticket_time_accounting_ids": []}


def _expanded(box: Sandbox, record: Native) -> Native:
    shown = _view(box, record)
    for key, (stream, column) in NAMES.items():
        named = box.store[stream].get(record[f"{key}_id"])
        shown[key] = named[column] if named else None
    return shown


def article_view(box: Sandbox, article: Native, *, names: bool = True) -> Native:
    """Return an article with its files; those its text shows are left out, and stand in the text by their address."""
    shown, inside = dict(article), set()
    files = box.state["files_of"].get(article["id"], [])
    if "html" in str(article["content_type"]):
        for file in files:
            cid = file["preferences"].get("Content-ID")
            if cid and f'src="cid:{cid}"' in shown["body"]:
                way = f"{API}/ticket_attachment/{article['ticket_id']}/{article['id']}/{file['id']}"
                shown["body"] = shown["body"].replace(f'src="cid:{cid}"', f'src="{way}"')
                inside.add(file["id"])
    if names:
        shown |= {"type": TYPES[article["type_id"]], "sender": SENDERS[article["sender_id"]]}
        shown["created_by"] = box.store["users"].get(article["created_by_id"], {}).get("login")
        shown["updated_by"] = box.store["users"].get(article["updated_by_id"], {}).get("login")
    shown["attachments"] = [file for file in files if file["id"] not in inside]
    return shown


def _all(box: Sandbox, record: Native) -> Native:
    """Return all that belongs to a ticket (ticket_all, Ticket::AssetsAll)."""
    articles = _articles(box, record["id"])
    mentions = [one for one in box.store["mentions"].values() if one["mentionable_id"] == record["id"]]
    links = belongings.links_of(box, record["id"])
    tickets = [record, *(box.store["tickets"][one["link_object_value"]] for one in links)]
    people_ids = {one[key] for one in tickets for key in ("customer_id", "owner_id", "created_by_id")}
    users = (box.store["users"][id] for id in sorted(people_ids) if id in box.store["users"])
    assets = {
        "Ticket": {str(one["id"]): _view(box, one) for one in tickets},
        "TicketArticle": {str(one["id"]): article_view(box, one, names=False) for one in articles},
        "User": {str(one["id"]): people.user_view(box, one) for one in users},
        "Mention": {str(one["id"]): one for one in mentions},
    }
    told = {"ticket_id": record["id"], "ticket_article_ids": [one["id"] for one in articles], "assets": assets}
    tags = box.state["tags_of"].get(record["id"], [])
    more = {"tags": list(tags), "mentions": [one["id"] for one in mentions], "time_accountings": [], "form_meta": {}}
    return {**told, "links": links, **more}


def _told(box: Sandbox, request: Request, record: Native, status: int = 200) -> Response:
    sent = request.args
    if rules.true(sent.get("expand")):
        return answer(_expanded(box, record), status)
    return answer(_all(box, record) if rules.true(sent.get("all")) else _view(box, record), status)


# ---- tickets ---------------------------------------------------------------------------------------------------------


def _kind(box: Sandbox, state: Any) -> str:
    return str(box.store["ticket_states"][state]["state_type"]) if state else ""


def _settled(box: Sandbox, values: Native) -> None:
    """Settle what the model settles before it saves: title, owner, organization, the time a pending ticket waits."""
    if values.get("title"):
        values["title"] = re.sub(r"[\t\n\r\f\v]", " ", str(values["title"]))
    rules.cut(values, {"title": 250, "note": 250, "type": 100, **box.state["columns"]["Ticket"]})
    values["owner_id"] = values.get("owner_id") or 1
    customer = box.store["users"].get(values["customer_id"])
    if customer:
        values["organization_id"] = customer["organization_id"]
    if rules.importing(box):
        return
    owner = box.store["users"].get(values["owner_id"])
    held = box.state["access"].get((values["owner_id"], values["group_id"]), ())
    if owner is None or not owner["active"] or 2 not in owner["role_ids"] or "full" not in held:
        values["owner_id"] = 1
    if _kind(box, values["state_id"]).startswith("pending"):
        until = rules.moment(values.get("pending_time") or "")
        if until is None:
            raise Refusal("Missing required value for field 'pending_time'!")
        values["pending_time"] = until


@routes("GET", f"{API}/tickets/search")
@routes("POST", f"{API}/tickets/search")
def search_tickets(box: Sandbox, request: Request) -> Response:
    """Search tickets; what changed a moment ago is not in the index yet. By a condition the database is asked.

    A condition that is wrong is none at all (CanSearch.search_sql_base).
    """
    sent = rules.given(request)
    seen = [r for r in box.store["tickets"].values() if rules.may(box, r["group_id"], "read")]
    if "condition" in sent and not sent.get("query"):
        held = selector.matching(box, sent["condition"], seen, preview=False)
        found = seen if held is None else held
    else:
        found = rules.searchable(box, seen, str(sent.get("query") or ""), ("title", "number"))
    down = sent.get("order_by") != "asc"
    some = rules.page(request, sorted(found, key=lambda r: r["id"], reverse=down), default=50, most=200)
    if rules.true(request.args.get("expand")):
        return answer([_expanded(box, record) for record in some])
    assets = {"Ticket": {str(r["id"]): _view(box, r) for r in some}}
    return answer({"tickets": [r["id"] for r in some], "tickets_count": len(some), "assets": assets})


@routes("GET", f"{API}/tickets")
def tickets(box: Sandbox, request: Request) -> Response:
    """List the tickets of groups one may read, by id, at most 100 a page."""
    seen = [r for r in box.store["tickets"].values() if rules.may(box, r["group_id"], "read", "overview")]
    view = _expanded if rules.true(request.args.get("expand")) else (lambda _, record: dict(record))
    return rules.listed(box, request, seen, view, default=100, most=100)


@routes("POST", f"{API}/tickets")
def create_ticket(box: Sandbox, request: Request) -> Response:
    """Create a ticket, its tags and its first article; all of it, or nothing."""
    sent = rules.given(request)
    if isinstance(guess := sent.get("customer_id"), str) and guess.startswith("guess:"):
        address = guess.removeprefix("guess:").lower()
        known = next((u for u in box.store["users"].values() if u["email"] == address), None)
        sent["customer_id"] = (known or people.new_user(box, {"email": address}))["id"]
    rules.by_name(box, sent, NAMES)
    values = rules.cleaned(box, sent, [*TICKET, *box.state["columns"]["Ticket"], *rules.KEPT_BY_VENDOR])
    rules.known(box, values, REFERENCES)
    values = {"state_id": 1, "priority_id": 2} | {key: value for key, value in values.items() if value is not None}
    for key in ("group_id", "title", "customer_id"):
        if not values.get(key):
            raise Refusal("Group can't be blank" if key == "group_id" else f"Attribute '{key}' required!")
    if not rules.may(box, values["group_id"], "create"):
        raise Refusal("Not authorized", 403)
    _settled(box, values)
    workflows.validated(box, values, "create_middle", box.state["blank"]["Ticket"])
    article = sent.get("article")
    kept = _article_values(box, article) if article else None
    files = _files(article.get("attachments")) if article else []
    record = rules.made(box, "tickets", {**TICKET, **box.state["blank"]["Ticket"], **values})
    record["number"] = values.get("number") or f"{box.state['system_id']}{record['id']:03}"
    for tag in str(sent.get("tags") or "").split(","):
        belongings.add_tag(box, record, tag)
    for user in [sent["mentions"]] if isinstance(sent.get("mentions"), int) else sent.get("mentions") or ():
        rules.made(
            box, "mentions", {"mentionable_type": "Ticket", "mentionable_id": record["id"], "user_id": int(user)}
        )
    if kept is not None:
        new_article(box, record, kept, files)
    _fires(box, "create", record)
    return _told(box, request, record, 201)


@routes("GET", f"{API}/tickets/<int:id>")
def ticket(box: Sandbox, request: Request, id: int) -> Response:
    """Show a ticket; ``all`` tells what belongs to it, ``expand`` names."""
    return _told(box, request, rules.ticket(box, id, "read"))


@routes("PUT", f"{API}/tickets/<int:id>")
def update_ticket(box: Sandbox, request: Request, id: int) -> Response:
    """Change a ticket, and add an article where one is sent. Its number stays, and tags are not taken."""
    record, sent = rules.ticket(box, id, "change"), rules.given(request)
    rules.by_name(box, sent, NAMES)
    values = rules.cleaned(box, sent, [*TICKET, *box.state["columns"]["Ticket"], *rules.KEPT_BY_VENDOR])
    values.pop("number", None)
    rules.known(box, values, REFERENCES)
    whole = {**record, **values}
    if "state_id" in values and not _kind(box, values["state_id"]).startswith("pending"):
        whole["pending_time"] = None
    _settled(box, whole)
    workflows.validated(box, whole, "edit", box.state["blank"]["Ticket"])
    article = sent.get("article")
    kept = _article_values(box, article) if article else None
    rules.changed(box, record, {k: v for k, v in whole.items() if k != "updated_at" or "updated_at" in values})
    if kept is not None:
        new_article(box, record, kept, _files((article or {}).get("attachments")))
    _fires(box, "update", record)
    return _told(box, request, record)


@routes("DELETE", f"{API}/tickets/<int:id>")
def delete_ticket(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a ticket with all that belongs to it; administrators only."""
    rules.admin(box)
    rules.ticket(box, id, "change")
    for article in box.state["articles_of"].pop(id, []):
        del box.store["ticket_articles"][article]
        box.state["files_of"].pop(article, None)
    del box.store["tickets"][id]
    box.state["tags_of"].pop(id, None)
    for stream, ends in (("link_rows", ("source", "target")), ("mentions", ("mentionable_id",))):
        for gone in [key for key, one in box.store[stream].items() if id in [one[end] for end in ends]]:
            del box.store[stream][gone]
    return Response("", 200)


@routes("PUT", f"{API}/ticket_merge/<int:id>/<number>")
def merge(box: Sandbox, request: Request, id: int, number: str) -> Response:
    """Merge a ticket into another: its articles go there, a link and a state say so."""
    target = next((r for r in box.store["tickets"].values() if r["number"] == number), None)
    if target is None:
        return answer({"result": "failed", "message": "The target ticket number could not be found."})
    source = rules.ticket(box, id, "change")
    for article in box.state["articles_of"].pop(id, []):
        box.store["ticket_articles"][article]["ticket_id"] = target["id"]
        box.state["articles_of"].setdefault(target["id"], []).append(article)
    new_article(box, source, {**ARTICLE, "body": "merged", "type_id": 10, "sender_id": 1}, [])
    rules.made(box, "link_rows", {"type": "parent", "source": target["id"], "target": id})
    rules.changed(box, source, {"state_id": 5, "owner_id": 1})
    rules.changed(box, target, {})
    return answer({"result": "success", "target_ticket": target, "source_ticket": source})


def _fires(box: Sandbox, what: str, record: Native) -> None:
    """Note the triggers that run on a ticket: none in import mode."""
    if not rules.importing(box):
        names = [one["name"] for one in box.store["triggers"].values() if one["active"]]
        box.state["fired"] += [(what, record["id"], name) for name in sorted(names, key=str.lower)]


# ---- articles --------------------------------------------------------------------------------------------------------


def _article_values(box: Sandbox, sent: Any) -> Native:
    """Return what an article keeps of what was sent. Raises the vendor's refusals."""
    sent = dict(sent)
    if sent.get("body") is None:
        raise Refusal('Need at least article: { body: "some text" }')
    for key, words in (("type", TYPES), ("sender", SENDERS)):
        if sent.get(key) and not sent.get(f"{key}_id"):
            found = next((id for id, word in words.items() if word == sent[key]), None)
            if found is None:
                raise Refusal(f"No lookup value found for '{key}': {sent[key]!r}")
            sent[f"{key}_id"] = found
    agent = 2 in rules.me(box)["role_ids"]
    sent.setdefault("type_id", 10)
    sent.setdefault("sender_id", 1 if agent else 2)
    rules.by_name(box, sent, {"origin_by": ("users", "login")})
    values = rules.cleaned(box, sent, [*ARTICLE, *rules.KEPT_BY_VENDOR])
    rules.known(box, values, {"origin_by_id": "users"})
    if not agent:
        values |= {"sender_id": 2, "internal": False, "origin_by_id": None}
        values["type_id"] = values["type_id"] if TYPES[values["type_id"]] in ("note", "web") else 10
    if "html" in str(values.get("content_type") or "").lower():
        values["body"] = markup.clean(str(values["body"]))
    if len(values["body"]) > BODY_MAX:
        raise Refusal(f"body of article is too large, {len(values['body'])} chars - only {BODY_MAX} allowed")
    values["internal"] = rules.true(values.get("internal"))
    return {**ARTICLE, **values}


def _files(sent: Any) -> list[Native]:
    files = []
    for index, one in enumerate(sent or ()):
        for key in ("mime-type", "filename", "data"):
            if not one.get(key):
                raise Refusal(f"Attachment needs '{key}' param for attachment with index '{index}'")
        try:
            data = base64.b64decode(re.sub(r"[\r\n]", "", one["data"]), validate=True)
        except (binascii.Error, ValueError):
            raise Refusal(f"Invalid base64 for attachment with index '{index}'") from None
        files.append({"filename": one["filename"][:250], "preferences": {"Mime-Type": one["mime-type"]}, "data": data})
    return files


def new_article(box: Sandbox, ticket: Native, values: Native, files: list[Native]) -> Native:
    """Store and return an article; outside import mode the vendor says who it is from."""
    values = {**values, "ticket_id": ticket["id"]}
    if not rules.importing(box) and TYPES[values["type_id"]] != "email":
        asking = box.state["asking"]
        if values["origin_by_id"] is None and values["sender_id"] == 2 and values["type_id"] in (5, 10, 11):
            values["origin_by_id"] = ticket["customer_id"]
        if values["origin_by_id"] is not None and values["origin_by_id"] != asking:
            values["sender_id"] = 2
        author = box.store["users"][values["origin_by_id"] or asking]
        values["from"] = f"{author['firstname']} {author['lastname']}".strip()
    for place, (address, kind, data) in enumerate(markup.pictures(values["body"])):
        cid = f"{ticket['id']}.{place}@{box.host}"
        values["body"] = values["body"].replace(address, f"cid:{cid}")
        preferences = {"Mime-Type": kind, "Content-ID": cid, "Content-Disposition": "inline"}
        files = [*files, {"filename": cid, "preferences": preferences, "data": data}]
    article = rules.made(box, "ticket_articles", values)
    box.state["articles_of"].setdefault(ticket["id"], []).append(article["id"])
    box.state["files_of"][article["id"]] = [_stored(box, file) for file in files]
    count = len(box.state["articles_of"][ticket["id"]])
    if count == 1:
        ticket |= {"create_article_type_id": article["type_id"], "create_article_sender_id": article["sender_id"]}
    ticket |= {"article_count": count, "updated_at": rules.now(box)}
    if article["type_id"] == 1 and article["sender_id"] == 1 and not rules.importing(box):
        box.state["mails"].append({"to": article["to"], "ticket": ticket["id"]})
    return article


def _stored(box: Sandbox, file: Native) -> Native:
    id = rules.fresh(box, "files")
    box.blobs[str(id)] = file["data"]
    return {"id": id, "filename": file["filename"], "size": str(len(file["data"])), "preferences": file["preferences"]}


@routes("GET", f"{API}/ticket_articles/by_ticket/<int:id>")
def articles(box: Sandbox, request: Request, id: int) -> Response:
    """List the articles of a ticket by date, all in one answer."""
    rules.ticket(box, id, "read")
    return answer([article_view(box, one) for one in _articles(box, id)])


@routes("GET", f"{API}/ticket_articles/<int:id>")
def article(box: Sandbox, request: Request, id: int) -> Response:
    """Show an article."""
    record = rules.one(box, "ticket_articles", id, "Ticket::Article")
    rules.ticket(box, record["ticket_id"], "read")
    return answer(article_view(box, record))


@routes("POST", f"{API}/ticket_articles")
def create_article(box: Sandbox, request: Request) -> Response:
    """Add an article to a ticket."""
    sent = rules.given(request)
    ticket = rules.ticket(box, sent.get("ticket_id"), "change", "create")
    values, files = _article_values(box, sent), _files(sent.get("attachments"))
    made = new_article(box, ticket, values, files)
    _fires(box, "update", ticket)
    return answer(article_view(box, made), 201)


@routes("PUT", f"{API}/ticket_articles/<int:id>")
def update_article(box: Sandbox, request: Request, id: int) -> Response:
    """Change whether an article is internal; nothing else of it is ever changed."""
    record = rules.one(box, "ticket_articles", id, "Ticket::Article")
    rules.ticket(box, record["ticket_id"], "change")
    sent = rules.given(request)
    values = {"internal": rules.true(sent["internal"])} if sent.get("internal") is not None else {}
    return answer(article_view(box, rules.changed(box, record, values)))


@routes("DELETE", f"{API}/ticket_articles/<int:id>")
def delete_article(box: Sandbox, request: Request, id: int) -> Response:
    """Delete one's own note, within ten minutes."""
    record = rules.one(box, "ticket_articles", id, "Ticket::Article")
    rules.ticket(box, record["ticket_id"], "change")
    if record["created_by_id"] != box.state["asking"]:
        raise Refusal("you can only delete your own notes", 403)
    if record["type_id"] != 10 and not record["internal"]:
        raise Refusal("communication articles cannot be deleted", 403)
    if box.clock.now().timestamp() - datetime.fromisoformat(record["created_at"]).timestamp() >= 600:
        raise Refusal("note is too old to be deleted", 403)
    del box.store["ticket_articles"][id]
    box.state["articles_of"][record["ticket_id"]].remove(id)
    return answer({})


@routes("GET", f"{API}/ticket_attachment/<int:ticket>/<int:article>/<int:id>")
def attachment(box: Sandbox, request: Request, ticket: int, article: int, id: int) -> Response:
    """Hand out a file."""
    rules.ticket(box, ticket, "read")
    files = {file["id"]: file for file in box.state["files_of"].get(article, [])}
    if box.store["ticket_articles"].get(article, {}).get("ticket_id") != ticket or id not in files:
        raise Refusal("The file does not belong to the specified article.", 403)
    if str(id) not in box.blobs:
        raise Refusal("No such file in the store.", 404)
    kind = (files[id]["preferences"] or {}).get("Mime-Type") or "application/octet-stream"
    return Response(box.blobs[str(id)], 200, content_type=kind)
