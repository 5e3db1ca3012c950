"""References inside a rule, as text that any vendor's words can carry to and fro: ``⟪group:123⟫``.

A rule names records in many places: conditions, actions, placeholders, columns. Each is marked when a rule is read; the
marks stand in what is written for another account, until that account's own names are put in their place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

MARK = re.compile(r"⟪(\w+):([^⟪⟫]*)⟫")
OWN = "~"  # ``⟪sla_policy:~2⟫`` in what a rule needs: the second of the records that the rule itself becomes
# What a rule may name to the kinds of record that are meant; none: records that do not move.
REFERS: Mapping[str, tuple[str, ...]] = {
    "group": ("group",),
    "agent": ("agent",),  # who must have a seat
    "user": ("agent", "contact"),
    "organization": ("organization",),
    "form": ("ticket_form",),
    "schedule": ("schedule",),
    "webhook": ("webhook",),
    "inbox": ("inbox",),
    "sla_policy": ("sla_policy",),
    "custom_field": ("custom_field",),  # its id is what it belongs to, and the name rules know it by: ``ticket:123``
    "brand": ("brand",),
    "custom_status": ("status",),
    "dynamic_content": ("dynamic_content",),  # its id is the name its placeholder has
    "role": ("role",),
    "target": (),
    "campaign": (),
    "file": (),
}
FIELDS_OF = {"ticket": "ticket", "requester": "contact", "assignee": "contact", "organization": "organization"}
_CUSTOM = re.compile(r"\b(ticket|requester|assignee|organization)\.cf(?:_label)?:(.+)", re.DOTALL)
Key = Callable[[str], str]  # a custom field's name in a path to the name its record has


def mark(kind: str, id: str) -> str:
    """Return the mark of a reference; what is one already stays as it is."""
    return id if MARK.search(id) else f"⟪{kind}:{id}⟫"


def is_mark(text: object) -> bool:
    """Say whether a text is a mark and nothing else."""
    return isinstance(text, str) and MARK.fullmatch(text) is not None


def marks(text: str) -> list[tuple[str, str]]:
    """Return every (kind, id) a text names, each once."""
    return list(dict.fromkeys((found[1], found[2]) for found in MARK.finditer(text)))


def named(text: str, name: Callable[[str, str], str]) -> str:
    """Return the text with every mark's own name in its place."""
    return MARK.sub(lambda found: name(found[1], found[2]), text)


def bare(text: str) -> str:
    """Return the text with the ids that its marks hold."""
    return named(text, lambda kind, id: id.partition(":")[2] if kind == "custom_field" else id)


def in_place(node: Any, name: Callable[[str, str], str], *, numbers: bool) -> Any:
    """Return JSON with names in the place of marks; ``numbers``: a mark by itself becomes a number where it can."""
    if isinstance(node, dict):
        return {named(key, name): in_place(value, name, numbers=numbers) for key, value in node.items()}
    if isinstance(node, list):
        return [in_place(value, name, numbers=numbers) for value in node]
    if not isinstance(node, str):
        return node
    text = named(node, name)
    return int(text) if numbers and is_mark(node) and text.isdecimal() else text


def marked(node: Any, key: Key = str, at: str = "") -> Any:
    """Return a rule (as JSON) with every reference in it marked. ``at``: the path whose values these are."""
    if isinstance(node, list):
        return [marked(one, key, at) for one in node]
    if not isinstance(node, dict):
        return node
    if isinstance(asked := node.get("path"), dict):
        at = f"{asked.get('of')}.{asked.get('name')}"
    done = {label: marked(value, key, at) for label, value in node.items()}
    kind = done.get("type")
    if kind == "ref" and done["kind"] in REFERS:
        done["id"] = mark("agent" if done["kind"] == "user" and at == "ticket.assignee" else done["kind"], done["id"])
    elif kind == "hook" and done["target"].partition(":")[0] in ("webhook", "target"):
        of, _, id = done["target"].partition(":")
        done["target"] = f"{of}:{mark(of, id)}"
    elif kind == "hours" and done["schedule"]:
        done["schedule"] = mark("schedule", done["schedule"])
    elif kind == "var":
        done |= _placeholder(done, key)
    elif kind == "elapsed":
        done["anchor"] = _CUSTOM.sub(lambda found: f"{found[1]}.cf:{_field(found[1], found[2], key)}", done["anchor"])
    elif set(done) == {"of", "name"} and done["name"].startswith("cf:"):
        done["name"] = "cf:" + _field(done["of"], done["name"].removeprefix("cf:"), key)
    elif set(done) == {"who", "id"} and done["id"] and done["who"] in ("group", "user"):
        done["id"] = mark(done["who"], done["id"])
    elif "columns" in done and "sort_by" in done:
        done["columns"] = [_column(one, key) for one in done["columns"]]
        done |= {label: _column(done[label], key) for label in ("group_by", "sort_by")}
    return done


def _field(of: str, name: str, key: Key) -> str:
    return name if MARK.search(name) else mark("custom_field", f"{FIELDS_OF.get(of, of)}:{key(name)}")


def _column(name: str, key: Key) -> str:
    return _field("ticket", name, key) if name.isdecimal() else name


def _placeholder(var: dict[str, Any], key: Key) -> dict[str, Any]:
    if found := _CUSTOM.fullmatch(var["meaning"]):
        named = _field(found[1], found[2], key)
        return {
            "meaning": var["meaning"].removesuffix(found[2]) + named,
            "name": var["name"].replace(found[2], named),
        }
    if var["meaning"].startswith("dynamic_content:"):
        id = var["meaning"].removeprefix("dynamic_content:")
        named = mark("dynamic_content", id)
        return {"meaning": f"dynamic_content:{named}", "name": var["name"].replace(id, named)}
    return {}
