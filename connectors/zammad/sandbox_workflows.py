"""Zammad's core workflows: what a form looks like for somebody, and which tickets it refuses.

Written from app/models/core_workflow.rb, core_workflow/result.rb, core_workflow/condition.rb with its operators, and
concerns/checks_core_workflow.rb (zammad/zammad, 2021 to 2023).
"""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_rules as rules
from .sandbox_rules import API, Refusal, answer, routes

WORKFLOW: Native = {
    "name": None, "object": None, "preferences": {}, "condition_saved": {}, "condition_selected": {}, "perform": {},
    "active": True, "stop_after_match": False, "changeable": True, "priority": 500,
}  # fmt: skip
OPERATORS = ("is", "is not", "is set", "not set", "contains", "contains not", "match all modules")
ACTIONS = (
    *("show", "hide", "remove", "set_mandatory", "set_optional", "set_readonly", "unset_readonly", "set_fixed_to"),
    *("add_option", "remove_option", "select", "auto_select", "fill_in", "fill_in_empty"),
)
RIGHTS = {1: "admin", 2: "ticket.agent", 3: "ticket.customer"}


def checked(values: Native) -> None:
    """Refuse what is no workflow: operators and actions there is no class for (Ruby finds that out when it runs)."""
    for side in ("condition_saved", "condition_selected"):
        for one in (values.get(side) or {}).values():
            if not isinstance(one, dict) or not one.get("operator"):
                raise Refusal("Invalid condition", 422)
    for does in (values.get("perform") or {}).values():
        words = does.get("operator") if isinstance(does, dict) else None
        if not words or set(words if isinstance(words, list) else [words]) - set(ACTIONS):
            raise Refusal("Invalid action", 422)


def performed(box: Sandbox, payload: Native) -> Native:
    """Return what a form looks like: which fields show, which must be filled in, which values they may have."""
    object, screen, params = str(payload["class_name"]), str(payload["screen"]), payload.get("params") or {}
    fields = [one for one in box.store["object_manager_attributes"].values() if one["object"] == object]
    result: Native = {"visibility": {}, "mandatory": {}, "readonly": {}, "restrict_values": {}, "select": {}}
    result |= {"fill_in": {}, "matched_workflows": [], "rerun_count": 0}
    rights = ["-all-", *(RIGHTS[role] for role in rules.me(box)["role_ids"] if role in RIGHTS)]
    for one in fields:
        said = [((one.get("screens") or {}).get(screen) or {}).get(right) for right in rights]
        here: Native = next((each for each in said if each), {})
        result["visibility"][one["name"]] = "hide" if here.get("shown") is False else "show"
        result["mandatory"][one["name"]] = bool(here.get("required"))
        result["readonly"][one["name"]] = False
        if own := _options(one):
            result["restrict_values"][one["name"]] = ["", *own]
    active = [one for one in box.store["core_workflows"].values() if one["active"] and one["object"] in (object, None)]
    for flow in sorted(active, key=lambda one: (one["priority"], one["id"])):
        screens = flow["preferences"].get("screen") or [screen]
        saved = box.store["tickets"].get(params.get("id"), {}) if object == "Ticket" else {}
        if screen not in screens or "custom.module" in flow["condition_saved"]:
            continue
        sides = ((flow["condition_saved"], saved), (flow["condition_selected"], {**saved, **params}))
        if all(_match(box, name, one, held) for asked, held in sides for name, one in asked.items()):
            for name, does in flow["perform"].items():
                _act(result, name.rpartition(".")[2], does)
            result["matched_workflows"].append(flow["id"])
            if flow["stop_after_match"]:
                break
    return result


def _match(box: Sandbox, name: str, one: Native, held: Native) -> bool:
    table, _, attribute = name.partition(".")
    value = rules.me(box).get(attribute) if table == "session" else held.get(attribute)
    values = [_text(each) for each in value] if isinstance(value, list) else [] if value is None else [_text(value)]
    wanted = one.get("value")
    some = [str(each) for each in wanted] if isinstance(wanted, list) else [str(wanted)]  # text, as it was sent
    operator = one["operator"]
    if operator == "is":
        return bool(set(values) & set(some))
    if operator == "is not":
        return not set(values) & set(some)
    if operator in ("is set", "not set"):
        return bool([each for each in values if each]) is (operator == "is set")
    return any(each in word for each in values for word in some) is (operator == "contains")


def _act(result: Native, field: str, does: Native) -> None:
    words = does["operator"]
    for word in words if isinstance(words, list) else [words]:
        value = does.get(word)
        some = value if isinstance(value, list) else [value]
        if word in ("show", "hide", "remove"):
            result["visibility"][field] = word
        elif word in ("set_mandatory", "set_optional"):
            result["mandatory"][field] = word == "set_mandatory"
        elif word in ("set_readonly", "unset_readonly"):
            result["readonly"][field] = word == "set_readonly"
        elif word == "set_fixed_to":
            held = result["restrict_values"].get(field)
            result["restrict_values"][field] = some if held is None else [each for each in held if each in some]
        elif word in ("add_option", "remove_option"):
            held = [each for each in result["restrict_values"].get(field) or [] if each not in some]
            result["restrict_values"][field] = held + (some if word == "add_option" else [])
        else:
            result["fill_in" if word.startswith("fill_in") else "select"][field] = value


def validated(box: Sandbox, values: Native, screen: str, own: Native) -> None:
    """Refuse a ticket without what must be filled in, and empty what the form does not have; ``own``: its own fields'
    defaults. Does nothing where the account has no workflow of its own."""
    if not any(one["active"] and one["changeable"] for one in box.store["core_workflows"].values()):
        return
    result = performed(box, {"class_name": "Ticket", "screen": screen, "params": values})
    for name, allowed in result["restrict_values"].items():
        if (
            name in own
            and values.get(name)
            and not isinstance(values[name], list)
            and _text(values[name]) not in allowed
        ):
            raise Refusal(f"Invalid value '{values[name]}' for field '{name}'!")
    for name, how in result["visibility"].items():
        if how == "remove" and name in own:
            values[name] = None
    for name, must in result["mandatory"].items():
        if must and result["visibility"].get(name) == "show" and own.get(name, "") is None is values.get(name):
            raise Refusal(f"Missing required value for field '{name}'!")


def _options(attribute: Native) -> list[str]:
    held = (attribute.get("data_option") or {}).get("options")
    return [str(key) for key in held] if isinstance(held, dict) and attribute["data_type"] == "select" else []


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@routes("POST", f"{API}/core_workflows/perform")
def perform(box: Sandbox, request: Request) -> Response:
    """Answer what a form looks like for who asks."""
    sent = rules.given(request)
    if not sent.get("class_name") or not sent.get("screen"):
        return answer({})
    return answer(performed(box, sent))
