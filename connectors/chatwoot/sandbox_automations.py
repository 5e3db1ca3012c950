"""Chatwoot's automation rules, macros, saved filters, SLA policies and webhooks: what they may hold, and who sees them.

``box.state["enterprise"]``: whether the account has SLA policies.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_rules as rules
from .sandbox_rules import API, Params, routes

CONDITIONS = set(
    "content email country_code status message_type browser_language assignee_id team_id referer city company inbox_id "
    "mail_subject phone_number priority conversation_language labels private_note".split()
)
ACTIONS = set(
    "send_message add_label remove_label send_email_to_team assign_team assign_agent send_webhook_event "
    "mute_conversation send_attachment change_status resolve_conversation open_conversation pending_conversation "
    "snooze_conversation change_priority send_email_transcript add_private_note".split()
)
SLA_ACTION = "add_sla"  # of the enterprise edition
CLICKED = set(
    "assign_team assign_agent add_label remove_label remove_assigned_team send_email_transcript mute_conversation "
    "change_status resolve_conversation snooze_conversation change_priority send_message send_attachment "
    "add_private_note send_webhook_event".split()
)
OPERATORS = ("AND", "OR")
EVENTS = set(
    "conversation_status_changed conversation_updated conversation_created contact_created contact_updated "
    "message_created message_updated webwidget_triggered inbox_created inbox_updated conversation_typing_on "
    "conversation_typing_off".split()
)
MOST_FILTERS = 50
THRESHOLDS = ("first_response_time_threshold", "next_response_time_threshold", "resolution_time_threshold")
A_PAGE = 25


def _refused(errors: dict[str, str]) -> rules.Refusal:
    return rules.Refusal(rules.answer({"error": {name: [what] for name, what in errors.items()}}, 422))


def _names(listed: object, key: str) -> list[str]:
    return [str(one.get(key)) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _actions(errors: dict[str, str], what: str, listed: object, known: set[str]) -> None:
    if strange := [name for name in _names(listed, "action_name") if name not in known]:
        errors["actions"] = f"{what} {','.join(strange)} not supported."


# ---- automation rules ------------------------------------------------------------------------------------------------


def _checked(box: Sandbox, record: Native) -> None:
    errors: dict[str, str] = {}
    own = {one["attribute_key"] for one in box.store["custom_attributes"].values()}
    keys = _names(record["conditions"], "attribute_key")
    if strange := [key for key in keys if key not in CONDITIONS | own]:
        errors["conditions"] = f"Automation conditions {','.join(strange)} not supported."
    joined = [one.get("query_operator") for one in record["conditions"]]
    if any(not one for one in joined[:-1]):
        errors["conditions"] = "Automation conditions should have query operator."
    if any(one and str(one).upper() not in OPERATORS for one in joined):
        errors["conditions"] = 'Query operator must be either "AND" or "OR".'
    known = ACTIONS | ({SLA_ACTION} if box.state["enterprise"] else set())
    _actions(errors, "Automation actions", record["actions"], known)
    for name in ("name", "event_name"):
        if not record.get(name):
            errors[name] = "can't be blank"
    if errors:
        raise _refused(errors)


def _permitted(record: Native) -> Native:
    """Return a rule with the keys that its conditions and actions may have; others are dropped without a word."""
    asked = ("attribute_key", "filter_operator", "query_operator", "custom_attribute_type", "values")
    held = [{key: one[key] for key in asked if key in one} for one in record["conditions"]]
    done = [{key: one[key] for key in ("action_name", "action_params") if key in one} for one in record["actions"]]
    return {**record, "conditions": held, "actions": done}


@routes("GET", f"{API}/automation_rules")
def automation_rules(box: Sandbox, request: Request) -> Response:
    """List the rules, active or not: administrators only."""
    rules.need_admin(box)
    return rules.answer({"payload": list(box.store["automation_rules"].values())})


@routes("GET", f"{API}/automation_rules/<int:id>")
def automation_rule(box: Sandbox, request: Request, id: int) -> Response:
    """Show a rule."""
    rules.need_admin(box)
    return rules.answer({"payload": rules.one(box, "automation_rules", id)})


@routes("POST", f"{API}/automation_rules")
def create_automation_rule(box: Sandbox, request: Request) -> Response:
    """Make a rule, which acts at once unless it says otherwise."""
    rules.need_admin(box)
    params = Params(request, "automation_rule")
    record: Native = {name: params.get(name) for name in ("name", "description", "event_name")}
    record |= {name: list(params.get(name) or []) for name in ("conditions", "actions")}
    record["active"] = "active" not in params or params.flag("active")
    _checked(box, record)
    id = rules.fresh(box, "automation_rules")
    made = {"id": id, "account_id": rules.ACCOUNT, **_permitted(record), "created_on": int(rules.now(box))}
    box.store["automation_rules"][id] = made
    return rules.answer({"payload": made})


@routes("PATCH", f"{API}/automation_rules/<int:id>")
@routes("PUT", f"{API}/automation_rules/<int:id>")
def update_automation_rule(box: Sandbox, request: Request, id: int) -> Response:
    """Change a rule."""
    rules.need_admin(box)
    record, params = rules.one(box, "automation_rules", id), Params(request, "automation_rule")
    new = {n: params.get(n) for n in ("name", "description", "event_name", "conditions", "actions") if n in params}
    if new:
        changed = {"conditions": [], "actions": [], "event_name": None, **record, **new}
        _checked(box, changed)
        record |= _permitted(changed)
    if "active" in params:
        record["active"] = params.flag("active")
    return rules.answer({"payload": record})


@routes("DELETE", f"{API}/automation_rules/<int:id>")
def delete_automation_rule(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a rule."""
    rules.need_admin(box)
    rules.one(box, "automation_rules", id)
    del box.store["automation_rules"][id]
    return Response(status=200)


# ---- macros ----------------------------------------------------------------------------------------------------------


def _seen(box: Sandbox) -> list[Native]:
    me = box.state["me"]
    everybody = [one for one in box.store["macros"].values() if one["visibility"] == "global"]
    own = [one for one in box.store["macros"].values() if one["visibility"] != "global" and _mine(one, me)]
    return sorted([*everybody, *own], key=lambda one: one["id"])


def _mine(macro: Native, me: Native) -> bool:
    return bool((macro.get("created_by") or {}).get("id", me["id"]) == me["id"])


@routes("GET", f"{API}/macros")
def macros(box: Sandbox, request: Request) -> Response:
    """List everybody's macros and one's own, 25 a page."""
    return rules.answer({"payload": rules.paged(request, _seen(box), A_PAGE)})


@routes("GET", f"{API}/macros/<int:id>")
def macro(box: Sandbox, request: Request, id: int) -> Response:
    """Show a macro."""
    return rules.answer({"payload": rules.one(box, "macros", id)})


def _macro(box: Sandbox, record: Native) -> Native:
    errors: dict[str, str] = {}
    _actions(errors, "Macro execution actions", record["actions"], CLICKED)
    if not record.get("name"):
        errors["name"] = "can't be blank"
    if errors:
        raise _refused(errors)
    return record


@routes("POST", f"{API}/macros")
def create_macro(box: Sandbox, request: Request) -> Response:
    """Make a macro; an agent's is his own, whatever he says."""
    params, me = Params(request, "macro"), box.state["me"]
    record = {"name": params.get("name"), "actions": list(params.get("actions") or [])}
    seen = params.get("visibility") if me["role"] == "administrator" else "personal"
    id = rules.fresh(box, "macros")
    by = {"created_by": me, "updated_by": me}
    made = {"id": id, "account_id": rules.ACCOUNT, "visibility": seen, **by, **_macro(box, record)}
    box.store["macros"][id] = made
    return rules.answer({"payload": made})


@routes("PATCH", f"{API}/macros/<int:id>")
@routes("PUT", f"{API}/macros/<int:id>")
def update_macro(box: Sandbox, request: Request, id: int) -> Response:
    """Change a macro; who does not say whose it shall be leaves it to nobody."""
    record, params = rules.one(box, "macros", id), Params(request, "macro")
    new = _macro(box, {name: params.get(name, record[name]) for name in ("name", "actions")})
    record |= new | {"visibility": params.get("visibility"), "updated_by": box.state["me"]}
    return rules.answer({"payload": record})


@routes("DELETE", f"{API}/macros/<int:id>")
def delete_macro(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a macro."""
    rules.one(box, "macros", id)
    del box.store["macros"][id]
    return Response(status=200)


# ---- saved filters ---------------------------------------------------------------------------------------------------


def _shown(record: Native) -> Native:
    return {key: value for key, value in record.items() if not key.startswith("_")}


def _own(box: Sandbox, id: int | None = None) -> list[Native]:
    mine = [one for one in box.store["custom_filters"].values() if one.get("_user") in (None, box.state["me"]["id"])]
    return [one for one in mine if id in (None, one["id"])]


@routes("GET", f"{API}/custom_filters")
def custom_filters(box: Sandbox, request: Request) -> Response:
    """List one's own saved filters, of conversations unless the query says otherwise."""
    wanted = request.args.get("filter_type", "conversation")
    return rules.answer([_shown(one) for one in _own(box) if one.get("filter_type", "conversation") == wanted])


@routes("GET", f"{API}/custom_filters/<int:id>")
def custom_filter(box: Sandbox, request: Request, id: int) -> Response:
    """Show one's own filter."""
    found = _own(box, id)
    if not found:
        raise rules.missing()
    return rules.answer(_shown(found[0]))


@routes("POST", f"{API}/custom_filters")
def create_custom_filter(box: Sandbox, request: Request) -> Response:
    """Save a filter for whoever asks."""
    params = Params(request, "custom_filter")
    if len(_own(box)) > MOST_FILTERS:
        raise rules.refused("Account We do not allow creating >50 custom views per account per user")
    if not params.get("name"):
        raise rules.invalid({"name": "can't be blank"})
    id, at = rules.fresh(box, "custom_filters"), rules.iso(box)
    kind = params.get("filter_type") or "conversation"
    record = {"id": id, "name": params.get("name"), "filter_type": kind, "query": params.map("query")}
    box.store["custom_filters"][id] = {**record, "created_at": at, "updated_at": at, "_user": box.state["me"]["id"]}
    return rules.answer(_shown(box.store["custom_filters"][id]))


@routes("DELETE", f"{API}/custom_filters/<int:id>")
def delete_custom_filter(box: Sandbox, request: Request, id: int) -> Response:
    """Delete one's own filter."""
    if not _own(box, id):
        raise rules.missing()
    del box.store["custom_filters"][id]
    return Response(status=204)


# ---- SLA policies ----------------------------------------------------------------------------------------------------


def _enterprise(box: Sandbox) -> None:
    if not box.state["enterprise"]:
        raise rules.missing()


@routes("GET", f"{API}/sla_policies")
def sla_policies(box: Sandbox, request: Request) -> Response:
    """List the policies; no such address without the enterprise edition."""
    _enterprise(box)
    return rules.answer({"payload": list(box.store["sla_policies"].values())})


@routes("POST", f"{API}/sla_policies")
def create_sla_policy(box: Sandbox, request: Request) -> Response:
    """Make a policy."""
    _enterprise(box)
    rules.need_admin(box)
    params = Params(request, "sla_policy")
    errors: dict[str, str] = {}
    record: Native = {name: rules.text(errors, name, params.get(name)) for name in ("name", "description")}
    if not record["name"]:
        errors["name"] = "can't be blank"
    if errors:
        raise rules.invalid(errors)
    for name in THRESHOLDS:
        value = params.get(name)
        record[name] = None if value is None else float(value)
    id = rules.fresh(box, "sla_policies")
    record["only_during_business_hours"] = params.flag("only_during_business_hours")
    box.store["sla_policies"][id] = {"id": id, **record}
    return rules.answer({"payload": box.store["sla_policies"][id]})


@routes("DELETE", f"{API}/sla_policies/<int:id>")
def delete_sla_policy(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a policy; a job does so, and conversations lose it."""
    _enterprise(box)
    rules.one(box, "sla_policies", id)
    del box.store["sla_policies"][id]
    return Response(status=200)


# ---- webhooks --------------------------------------------------------------------------------------------------------


@routes("GET", f"{API}/webhooks")
def webhooks(box: Sandbox, request: Request) -> Response:
    """List the webhooks."""
    rules.need_admin(box)
    return rules.answer({"payload": {"webhooks": list(box.store["webhooks"].values())}})


@routes("POST", f"{API}/webhooks")
def create_webhook(box: Sandbox, request: Request) -> Response:
    """Make a webhook, which is told of everything from then on."""
    rules.need_admin(box)
    params = Params(request, "webhook")
    errors: dict[str, str] = {}
    url, listed = str(params.get("url") or ""), params.get("subscriptions")
    if urlsplit(url).scheme not in ("http", "https"):
        errors["url"] = "is invalid"
    rules.unique(errors, box, "webhooks", "url", url)
    if not isinstance(listed, list) or not listed or set(listed) - EVENTS:
        errors["subscriptions"] = "Invalid events"
    if errors:
        raise rules.invalid(errors)
    id = rules.fresh(box, "webhooks")
    record = {"id": id, "name": params.get("name"), "url": url, "account_id": rules.ACCOUNT, "subscriptions": listed}
    box.store["webhooks"][id] = record
    return rules.answer({"payload": {"webhook": record}})
