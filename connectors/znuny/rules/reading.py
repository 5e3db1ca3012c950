"""Jobs of the GenericAgent, as its ``JobGet`` returns them, read into our words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from migrator.rules.conditions import All, Elapsed, Is, Leaf, Lit, Ref, Value, path
from migrator.rules.natives import compact, kept, unknown
from migrator.rules.rule import Action, Comment, Kind, Rule, SetField
from migrator.rules.template import Said, Template

from . import names

Native = dict[str, Any]
VALID = {"0": False, "1": True}


def rule(native: Mapping[str, Any], kind: Kind) -> Rule:
    """Return a job in our words; a key that is not understood is kept as unknown."""
    used: set[str] = {"Name", *names.OPTIONS, *names.BOOKKEEPING}
    when = [*_lists(native, used), *_times(native, used)]
    do = _actions(native, used)
    times = [key for key in native if key.endswith(("TimePoint", "TimePointFormat", "TimePointStart")) and key in used]
    valid = str(native.get("Valid", ""))
    used |= {"Valid"} if valid in VALID else set()
    return Rule(
        vendor="znuny",
        kind=kind,
        name=str(native.get("Name") or ""),
        active=VALID.get(valid),
        when=All(of=tuple(when)),
        do=tuple(do),
        options=tuple((key, compact(native[key])) for key in names.OPTIONS if key in native),
        unknown=unknown(native, used),
        kept=kept(native, (*names.BOOKKEEPING, *times)),
    )


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
            used |= {asked, *keys}
            found.append(_elapsed(anchor, names.SEARCHES[way], float(point) * names.HOURS[unit]))
        elif native.get(asked) in (None, "None"):
            for ending, op in (("Older", "gt"), ("Newer", "lt")):
                key = f"{begins}Time{ending}Minutes"
                if _number(str(native.get(key, ""))):
                    used.add(key)
                    found.append(_elapsed(anchor, op, float(native[key]) / 60))
    return found


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
