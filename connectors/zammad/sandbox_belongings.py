"""What hangs on a ticket at Zammad: tags, links; and the words it is described with: states, priorities."""

from __future__ import annotations

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_rules as rules
from .sandbox_rules import API, Refusal, answer, routes

# ---- tags and links --------------------------------------------------------------------------------------------------


def add_tag(box: Sandbox, ticket: Native, tag: str) -> None:
    """Give a ticket a tag, once; the ticket is touched."""
    tag = tag.strip()[:250]
    held = box.state["tags_of"].setdefault(ticket["id"], [])
    if tag and tag not in held:
        if tag not in box.store["tag_list"]:
            box.store["tag_list"][tag] = {"id": rules.fresh(box, "tags"), "name": tag}
        held.append(tag)
        ticket["updated_at"] = rules.now(box)


@routes("GET", f"{API}/tags")
def tags(box: Sandbox, request: Request) -> Response:
    """List the tags of a ticket."""
    return answer({"tags": box.state["tags_of"].get(rules.ticket(box, request.args.get("o_id"), "read")["id"], [])})


@routes("POST", f"{API}/tags/add")
def tag_add(box: Sandbox, request: Request) -> Response:
    """Add a tag."""
    sent = rules.given(request)
    add_tag(box, rules.ticket(box, sent.get("o_id"), "change"), str(sent.get("item") or ""))
    return answer(True, 201)


@routes("DELETE", f"{API}/tags/remove")
def tag_remove(box: Sandbox, request: Request) -> Response:
    """Take a tag away."""
    sent = rules.given(request)
    ticket = rules.ticket(box, sent.get("o_id"), "change")
    held = box.state["tags_of"].setdefault(ticket["id"], [])
    if sent.get("item") in held:
        held.remove(sent["item"])
        ticket["updated_at"] = rules.now(box)
    return answer(True)


@routes("GET", f"{API}/tag_list")
def tag_list(box: Sandbox, request: Request) -> Response:
    """List the words that are tags, by name, a thousand unless ``limit`` says more."""
    rules.admin(box)
    used = [tag for held in box.state["tags_of"].values() for tag in held]
    shown = [{**one, "count": used.count(one["name"])} for _, one in sorted(box.store["tag_list"].items())]
    return answer(shown[: int(request.args.get("limit") or 1000)])


def links_of(box: Sandbox, ticket: int) -> list[Native]:
    """Return the links of a ticket, each told from its side (Link.list)."""
    back = {"normal": "normal", "parent": "child", "child": "parent"}
    links = box.store["link_rows"].values()
    found = [(back[one["type"]], one["target"]) for one in links if one["source"] == ticket]
    found += [(one["type"], one["source"]) for one in links if one["target"] == ticket]
    return [{"link_type": how, "link_object": "Ticket", "link_object_value": other} for how, other in found]


@routes("GET", f"{API}/links")
def links(box: Sandbox, request: Request) -> Response:
    """List the links of a ticket."""
    ticket = rules.ticket(box, request.args.get("link_object_value"), "read")
    return answer({"links": links_of(box, ticket["id"]), "assets": {}})


@routes("POST", f"{API}/links/add")
def link_add(box: Sandbox, request: Request) -> Response:
    """Link two tickets: the source by its number, the target by its id."""
    sent = rules.given(request)
    number, how = str(sent.get("link_object_source_number")), str(sent.get("link_type"))
    source = next((r for r in box.store["tickets"].values() if r["number"] == number), None)
    target = rules.ticket(box, sent.get("link_object_target_value"), "change")
    if source is None or how not in ("normal", "parent", "child"):
        raise Refusal("Couldn't find Ticket", 404)
    if any(_same(one, how, source["id"], target["id"]) for one in box.store["link_rows"].values()):
        raise Refusal("Link already exists")
    record = rules.made(box, "link_rows", {"type": how, "source": source["id"], "target": target["id"]})
    for one in (source, target):
        one["updated_at"] = rules.now(box)
    return answer(
        {"id": record["id"], "link_object_source_value": source["id"], "link_object_target_value": target["id"]}, 201
    )


@routes("DELETE", f"{API}/links/remove")
def link_remove(box: Sandbox, request: Request) -> Response:
    """Unlink two tickets, by their ids."""
    sent = rules.given(request)
    ends = int(sent.get("link_object_source_value") or 0), int(sent.get("link_object_target_value") or 0)
    for id in [id for id, one in box.store["link_rows"].items() if _same(one, str(sent.get("link_type")), *ends)]:
        del box.store["link_rows"][id]
    return answer([], 201)


def _same(link: Native, how: str, source: int, target: int) -> bool:
    back = {"normal": "normal", "parent": "child", "child": "parent"}.get(how)
    straight = (link["type"], link["source"], link["target"]) == (how, source, target)
    return straight or (link["type"], link["source"], link["target"]) == (back, target, source)


# ---- states and priorities -------------------------------------------------------------------------------------------


@routes("GET", f"{API}/ticket_states")
def states(box: Sandbox, request: Request) -> Response:
    """List the states."""
    return rules.listed(box, request, box.store["ticket_states"].values(), lambda _, one: dict(one), default=500)


@routes("GET", f"{API}/ticket_states/<int:id>")
def state(box: Sandbox, request: Request, id: int) -> Response:
    """Show a state."""
    return answer(rules.one(box, "ticket_states", id, "Ticket::State"))


@routes("GET", f"{API}/ticket_priorities")
def priorities(box: Sandbox, request: Request) -> Response:
    """List the priorities."""
    return rules.listed(box, request, box.store["ticket_priorities"].values(), lambda _, one: dict(one), default=500)


@routes("GET", f"{API}/ticket_priorities/<int:id>")
def priority(box: Sandbox, request: Request, id: int) -> Response:
    """Show a priority."""
    return answer(rules.one(box, "ticket_priorities", id, "Ticket::Priority"))
