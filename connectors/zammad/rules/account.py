"""A rule in the words of one account: its states and priorities, and the fields and triggers that are added for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from migrator.rules.references import MARK
from migrator.rules.verdicts import NEEDED, Need

from . import names

Native = dict[str, Any]
Words = Mapping[str, Mapping[str | None, Any]]  # field of a ticket to {ours, None for none: theirs}
WORD = re.compile(r"<(state|priority):([^<>]*)>\Z")
FIELD = {"state": "status", "priority": "priority"}
OURS = {"state": names.STATES, "priority": names.PRIORITIES}
TYPE = "ticket.type"
WHENEVER = {"activator": "action", "execution_condition_mode": "always"}


def settled(native: Native, words: Words) -> tuple[Native, str]:
    """Return another vendor's rule with the names that states, priorities and types have in the account, and why it
    cannot be said in them; empty where it can.

    A condition is good only if the values it names are all of those that become the same there.
    """
    lost: list[str] = []
    told = json.loads(json.dumps(native))
    for one in _asked(told.get("condition") or {}):
        if "value" in one and "operator" in one:
            one["value"] = _values(one.get("name", ""), one["value"], words, lost)
    for name, does in (told.get("perform") or {}).items():
        if isinstance(does, dict) and "value" in does:
            does["value"] = _values(name, does["value"], words, lost, asked=False)
    hides = any("hide" in does for does in (told.get("perform") or {}).values())
    for name, one in (told.get("condition_selected") or {}).items():  # what must be filled in, may be in more states
        made = _values(name, one["value"], words, lost if hides else [])
        one["value"] = made if isinstance(made, list) else [made]
    return told, lost[0] if lost else ""


def _asked(condition: Native) -> Iterator[Native]:
    """Yield every condition of either format, with its name."""
    if "conditions" in condition:
        for one in condition["conditions"]:
            yield from _asked(one)
    elif "name" in condition and "operator" in condition:
        yield condition
    else:
        for name, one in condition.items():
            held = {"name": name, **one}
            yield held
            condition[name] = {key: value for key, value in held.items() if key != "name"}


def _values(name: str, value: Any, words: Words, lost: list[str], *, asked: bool = True) -> Any:
    several = value if isinstance(value, list) else [value]
    kinds = {found[1] for one in several if (found := WORD.match(str(one)))}
    if name == TYPE and several != [""]:
        return _types(value, words, lost)
    if len(kinds) != 1:
        return value
    kind = kinds.pop()
    table = words.get(FIELD[kind], {})
    taken: dict[str | None, Any] = {}
    done: list[str] = []
    for one in several:
        found = WORD.match(str(one))
        ours: str | None = OURS[kind].get(found[2]) if found else None
        if found is None or ours is None:
            done.append(str(one))
            continue
        ours = None if ours == "none" else ours
        taken[ours] = table.get(ours, found[2])
        done.append(f"<{kind}:{taken[ours]}>")
    more = [ours for ours, theirs in table.items() if ours and theirs in taken.values() and ours not in taken]
    more = [ours for ours in more if ours in OURS[kind].values()]
    if asked and more:
        named = " or ".join(sorted(filter(None, taken)))
        lost.append(
            f"{' and '.join(sorted(more))} would match too: tickets that are {named} have the same {kind} there; "
            "add one and map it in the overlay"
        )
    done = list(dict.fromkeys(done))
    return done[0] if len(done) == 1 else done


def _types(value: Any, words: Words, lost: list[str]) -> Any:
    table = words.get("type", {})
    several = value if isinstance(value, list) else [value]
    for one in several:
        if one and one not in table:
            lost.append(f"tickets have no type '{one}' there")
    done = [table.get(one, one) for one in several]
    return done if isinstance(value, list) else done[0]


def provided(need: Need) -> tuple[str, str, dict[str, Any]] | str:
    """Return the record that fills a need, as (kind, id, fields), or why it cannot be made; empty: there is none to
    make."""
    if need.kind in ("trigger", "text_module") and need.native:
        id = f"{NEEDED}{need.name}"
        if need.kind == "text_module":
            if MARK.search(need.native["content"]):
                return "its text names a field of the account's own: make the text module by hand"
            return "canned_response", id, {"name": need.native["name"], "body": need.native["content"]}
        rule = json.dumps({**WHENEVER, **need.native}, ensure_ascii=False)
        return "trigger", id, {"name": need.name, "rule": rule, "position": 0}
    if need.kind == "calendar":
        return _calendar() if need.name == names.AROUND_THE_CLOCK else ""
    if need.kind != "attribute" or MARK.search(need.name) or need.name == TYPE:
        return ""
    name = need.name.removeprefix("ticket.")
    if not (names.REMEMBERED.fullmatch(need.name) or name.endswith("_before")):
        return "what it would hold does not move with the tickets"
    kind = "textarea" if need.name in names.THREADS.values() else "text"
    title = f"Migrator: {name.replace('_', ' ')}"
    return "custom_field", f"{NEEDED}{name}", {"applies_to": "ticket", "title": title, "type": kind, "key": name}


def _calendar() -> tuple[str, str, dict[str, Any]]:
    every = {day: {"active": True, "timeframes": [["00:00", "23:59"]]} for day in names.DAYS}
    hours = json.dumps({"business_hours": every})
    return (
        "schedule",
        f"{NEEDED}{names.AROUND_THE_CLOCK}",
        {"name": names.AROUND_THE_CLOCK, "time_zone": "UTC", "hours": hours},
    )
