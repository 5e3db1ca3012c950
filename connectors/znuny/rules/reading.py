"""Jobs of the GenericAgent, as its ``JobGet`` returns them, read into our words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from migrator.rules.conditions import All, Elapsed, Is, Leaf, Lit, Opaque, Ref, Value, path
from migrator.rules.natives import compact, kept, unknown
from migrator.rules.rule import Action, Comment, Kind, Rule, SetField, Unread
from migrator.rules.template import Said, Template

from . import names

Native = dict[str, Any]
VALID = {"0": False, "1": True}


def rule(native: Mapping[str, Any], kind: Kind) -> Rule:
    """Return a job in our words; what it asks or does besides is carried home, and left to a person elsewhere."""
    used: set[str] = {"Name", *names.OPTIONS, *names.BOOKKEEPING}
    when = [*_lists(native, used), *_times(native, used)]
    do = _actions(native, used)
    times = [key for key in native if key in used and key.endswith(names.OF_TIMES)]
    valid = str(native.get("Valid", ""))
    used |= {"Valid"} if valid in VALID else set()
    when += _others(native, used)
    do += _other_actions(native, used)
    return Rule(
        vendor="znuny",
        kind=kind,
        name=str(native.get("Name") or ""),
        active=VALID.get(valid),
        when=All(of=tuple(when)),
        do=tuple(do),
        options=tuple((key, compact(_sorted(native[key]))) for key in names.OPTIONS if key in native),
        kept=kept(native, (*names.BOOKKEEPING, *times, *_blank(native, used))),
        unknown=unknown(native, used),
    )


def _sorted(held: Any) -> Any:
    """Return the hours, minutes or days of a schedule in their order: the database has none."""
    return sorted(held, key=lambda one: (len(str(one)), str(one))) if isinstance(held, list) else held


def value(word: str, text: str) -> Value:
    """Return a value of a list: ``<state:open>``, or an id of the desk's own."""
    found = re.fullmatch(r"<(\w+):(.*)>", text)
    kind = {"state": "status", "queue": "group", "user": "user"}.get(word, word)
    if found and found[1] == word and found[2] in names.WORDS.get(word, {}):
        return Lit(value=names.WORDS[word][found[2]])
    if found and found[1] == word and word not in names.WORDS:
        return Ref(kind=kind, id=found[2])
    return Ref(kind=kind, id=text)


def _lists(native: Mapping[str, Any], used: set[str]) -> list[Leaf]:
    found: list[Leaf] = []
    for at, (key, word, _) in names.LISTS.items():
        held = native.get(key)
        if isinstance(held, list) and held:
            used.add(key)
            found.append(Is(path=path(at), values=tuple(value(word, str(one)) for one in held)))
    return found


def _times(native: Mapping[str, Any], used: set[str]) -> list[Leaf]:
    found: list[Leaf] = []
    for anchor, (begins, asked) in names.ANCHORS.items():
        keys = [f"{begins}TimePoint{ending}" for ending in ("", "Format", "Start")]
        point, unit, way = (str(native.get(key, "")) for key in keys)
        if native.get(asked) == "TimePoint" and unit in names.HOURS and way in names.SEARCHES and _number(point):
            # What JobGet makes of them stands beside them in what it returns.
            used |= {asked, *keys, f"{begins}TimeOlderMinutes", f"{begins}TimeNewerMinutes"} & set(native)
            found.append(_elapsed(anchor, names.SEARCHES[way], float(point) * names.HOURS[unit]))
        elif native.get(asked) in (None, "None"):
            for ending, op in (("Older", "gt"), ("Newer", "lt")):
                key = f"{begins}Time{ending}Minutes"
                if _number(str(native.get(key, ""))):
                    used.add(key)
                    found.append(_elapsed(anchor, op, float(native[key]) / 60))
    return found


def _others(native: Mapping[str, Any], used: set[str]) -> list[Leaf]:
    """Return what else a job asks: without it, it would take more tickets (JobRun hands all of it to the search)."""
    asked = [
        key for key, held in native.items()
        if key not in used and not key.startswith(names.NO_CONDITION) and _said(held) and not _idle(native, key)
    ]  # fmt: skip
    used.update(asked)
    return [Opaque(text=compact({key: native[key]}), why="a job asks for this in words nobody reads") for key in asked]


def _other_actions(native: Mapping[str, Any], used: set[str]) -> list[Action]:
    """Return what else a job does: a command, a module, a lock, a dynamic field, taking the ticket away."""
    done = [
        key for key, held in native.items()
        if key not in used and key.startswith(names.ACTIONS) and _said(held) and not _idle(native, key)
    ]  # fmt: skip
    used.update(done)
    why = "a job does this in words nobody reads"
    return [Unread(name=key, text=compact({key: native[key]}), why=why) for key in done]


def _said(held: Any) -> bool:
    """Say whether a value counts: an empty one and 0 do not (Perl)."""
    return held not in (None, "", "0", 0, [], ["0"], [""])


def _idle(native: Mapping[str, Any], key: str) -> bool:
    """Say whether a key is part of a time that the job does not search by, or says so."""
    if key in names.SEARCH_TYPES.values():
        return bool(native[key] == "None")
    begins = next((one for one in names.SEARCH_TYPES if key.startswith(f"{one}Time")), None)
    of_page = begins is not None and re.fullmatch(r"(Start|Stop|Point)[A-Za-z]*", key.removeprefix(f"{begins}Time"))
    return bool(of_page) and native.get(names.SEARCH_TYPES[str(begins)]) in (None, "", "None")


def _blank(native: Mapping[str, Any], used: set[str]) -> list[str]:
    """Return the keys that say nothing, as the page of a job leaves many."""
    idle = [key for key in native if key not in used and (not _said(native[key]) or _idle(native, key))]
    used.update(idle)
    return idle


def _number(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,9}", text) is not None


def _elapsed(anchor: str, op: str, hours: float) -> Elapsed:
    return Elapsed.model_validate({"anchor": anchor, "op": op, "hours": hours})


def _actions(native: Mapping[str, Any], used: set[str]) -> list[Action]:
    found: list[Action] = []
    for at, key in names.SETS.items():
        if native.get(key):
            used.add(key)
            found.append(SetField(path=path(at), value=value(names.LISTS[at][1], str(native[key]))))
    if native.get("NewNoteBody"):
        used |= {"NewNoteBody", "NewNoteSubject", "NewNoteIsVisibleForCustomer"} & set(native)
        public = str(native.get("NewNoteIsVisibleForCustomer", "0")) == "1"
        subject = Template(parts=(Said(text=str(native["NewNoteSubject"])),)) if "NewNoteSubject" in native else None
        body = Template(parts=(Said(text=str(native["NewNoteBody"])),))
        found.append(Comment(public=public, body=body, subject=subject))
    return found
