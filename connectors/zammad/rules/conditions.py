"""Our conditions written as Zammad's, so that its engine answers as the source's does, missing values included.

No NOT block is written over anything that may be NULL. Tags: ``contains one`` joins a row a tag, so that two of them in
one condition look at the same tag; NOT over ``contains one not``, which is a subselect, is used instead.
"""

from __future__ import annotations

import json
from typing import Any

from migrator.rules.conditions import (
    Actor,
    All,
    Changed,
    Compare,
    Condition,
    Elapsed,
    Event,
    Hours,
    Is,
    Leaf,
    Lit,
    Not,
    Path,
    Ref,
    Same,
    Tags,
    Text,
    Value,
    path,
)
from migrator.rules.conditions import Any as AnyOf
from migrator.rules.conditions import leaves as leaves_of
from migrator.rules.natives import field_name, remembered
from migrator.rules.normal_forms import assume, created_only
from migrator.rules.notebook import Notebook
from migrator.rules.sql import word_pattern
from migrator.rules.verdicts import Verdict
from migrator.rules.words import value_words

from . import names

Native = dict[str, Any]
DEEPEST = 3  # blocks within each other that the editor shows (admin documentation, object-conditions)
NEVER: Native = {"name": "ticket.action", "operator": "is", "value": "never"}


def joined(operator: str, parts: list[Native]) -> Native:
    """Return parts as one block; one part needs none."""
    return parts[0] if len(parts) == 1 else {"operator": operator, "conditions": parts}


def inverse(part: Native) -> Native:
    """Return NOT over one condition, which must never be NULL."""
    return {"operator": "NOT", "conditions": [part]}


class Conditions:
    """Writes the condition of one rule."""

    def __init__(self, book: Notebook, *, own: bool) -> None:
        self.book, self.own = book, own
        self.regex = book.rule.kind == "trigger"  # elsewhere the engine refuses it
        self.only_new = created_only(book.rule.when)
        self.many_tags = False

    def whole(self, when: Condition, *, expert: bool = False) -> Native:
        """Return the condition of a rule, in the basic format where that can hold it."""
        flat = assume(when, lambda leaf: None)
        positive = [leaf for leaf in leaves_of(flat) if isinstance(leaf, Tags) and leaf.tags and not leaf.negated]
        self.many_tags = len(positive) > 1
        if isinstance(flat, AnyOf) and not flat.of:
            self.book.add("when", "never", "exact")
            return {"operator": "AND", "conditions": [NEVER]}
        native = self._node(flat)
        if native is None:
            return {}
        if "conditions" not in native or native["operator"] != "AND":
            native = {"operator": "AND", "conditions": [native]}
        if _depth(native) > DEEPEST:
            self.book.add("when", "the whole condition", "approximated", f"deeper than the editor's {DEEPEST} levels")
        parts = native["conditions"]
        plain = all("conditions" not in part for part in parts) and len({part["name"] for part in parts}) == len(parts)
        if plain and not expert:
            return {part["name"]: {key: value for key, value in part.items() if key != "name"} for part in parts}
        return native

    def _node(self, node: Condition) -> Native | None:
        if isinstance(node, All | AnyOf):
            made = [part for part in map(self._node, node.of) if part is not None]
            operator = "AND" if isinstance(node, All) else "OR"
            flat = [each for part in made for each in _inside(part, operator)]
            return joined(operator, flat) if flat else None
        assert not isinstance(node, Not)
        found, verdict, note = self._leaf(node)
        self.book.leaf(node, verdict, note)
        return found

    def _leaf(self, leaf: Leaf) -> tuple[Native | None, Verdict, str]:
        if isinstance(leaf, Is):
            return self._is(leaf)
        if isinstance(leaf, Event):
            return _event(leaf)
        if isinstance(leaf, Tags):
            return self._tags(leaf), "exact", ""
        if isinstance(leaf, Changed):
            return self._changed(leaf)
        if isinstance(leaf, Elapsed):
            return self._elapsed(leaf)
        if isinstance(leaf, Text):
            return self._text(leaf)
        if isinstance(leaf, Hours):
            calendar = f"<calendar:{leaf.schedule or 'default'}>"
            operator = "is in working time" if leaf.inside else "is not in working time"
            made = {"name": "execution_time.calendar_id", "operator": operator, "value": calendar}
            return made, "equivalent", "given a calendar with the same hours"
        if isinstance(leaf, Compare):
            return self._compare(leaf)
        if isinstance(leaf, Same):
            return self._same(leaf)
        if self.own:
            return json.loads(leaf.text), "exact", ""
        return None, "untranslatable", leaf.why

    def attribute(self, at: Path) -> str | None:
        """Return the attribute of a path; a custom field or a helper is noted as needed."""
        if at.custom and at.of in ("ticket", "requester", "organization", "assignee", "comment"):
            table = {"requester": "customer", "assignee": "owner", "comment": "article"}.get(at.of, at.of)
            if self.own:
                return f"{table}.{at.custom}"
            name = f"{table}.{field_name(at.custom)}"
            self.book.need("attribute", name, f"it holds the custom field {at.custom}")
            return name
        ours = str(at)
        if ours in names.HELPERS and not self.own:
            name, kind, why = names.HELPERS[ours]
            self.book.need("attribute", name, f"a {kind} that says {why}, filled when tickets are moved and made")
            return name
        if self.own and at.name.startswith("before:"):
            return f"ticket.{at.name.removeprefix('before:')}_before"
        if self.own and names.REMEMBERED.fullmatch(ours):
            return ours
        return names.PATHS.get(ours) or names.HELPERS.get(ours, (None,))[0]

    def value(self, at: Path, value: Value) -> Any:
        """Return a value as Zammad has it; what is an id there is named in ``<kind:name>``."""
        ours = str(at).replace("before:", "")
        _, written = names.REFERS.get(ours, ("", ""))
        if isinstance(value, Ref):
            if not self.own and written in ("state", "priority", "article_type", "article_sender"):
                return None  # a word of the old vendor that nobody here knows
            kind = value.kind if value.kind == "state_category" else written
            return value.id if self.own and value.id.isdigit() else f"<{kind}:{value.id}>"
        word = getattr(value, "value", "")
        tables = {"state": names.STATE_NAMES, "priority": names.PRIORITY_NAMES, "article_type": names.CHANNEL_NAMES}
        tables["article_sender"] = names.SENDER_NAMES
        if written in tables:
            name = tables[written].get(str(word))
            self.added(name)
            return None if name is None else f"<{written}:{name}>"
        return word

    def added(self, name: str | None) -> None:
        """Note a state or priority that is not there from the beginning."""
        if self.own or name is None:
            return
        if name in names.ADDED_STATES:
            kind = names.ADDED_STATES[name]
            self.book.need("state", name, f"a state of the type '{kind}', so that no two states become one")
        if name == "0 none":
            self.book.need("priority", name, "the priority of tickets that have none, and of new ones")

    def _is(self, leaf: Is) -> tuple[Native | None, Verdict, str]:
        ours, verdict, note = str(leaf.path), "exact", ""
        made: Is | None = leaf
        if not self.own:
            made, verdict, note = self._adapted(leaf)
        if made is None or verdict == "untranslatable":
            return None, "untranslatable", note or f"Zammad knows nothing of {ours}"
        name = self.attribute(made.path)
        if name is None:
            return None, "untranslatable", f"Zammad knows nothing of {ours}"
        values = [self.value(made.path, one) for one in made.values if not isinstance(one, Actor)]
        actors = [one for one in made.values if isinstance(one, Actor)]
        if None in values:
            lost = ", ".join(value_words(one) for one in made.values)
            return None, "untranslatable", f"Zammad has no {leaf.path.name} '{lost}'"
        return self._among(made, name, values, actors), verdict, note  # type: ignore[return-value]

    def _adapted(self, leaf: Is) -> tuple[Is | None, Verdict, str]:
        """Return the leaf as it must be asked there, with its verdict: values that merge, what has another place."""
        ours = str(leaf.path)
        if any(isinstance(one, Actor) and not one.who.startswith("current_user") for one in leaf.values):
            return None, "untranslatable", "Zammad cannot compare two people of a ticket"
        if any(isinstance(one, Actor) and one.who == "current_user_groups" for one in leaf.values):
            return None, "untranslatable", "Zammad cannot ask for the groups of whoever is acting"
        if ours == "ticket.status":
            made, verdict, note = self.book.image(leaf, names.STATUS_TABLE, "status")
            return made, "equivalent" if verdict == "exact" else verdict, note or "given the states' names"
        if ours == "ticket.priority":
            return self.book.image(leaf, names.PRIORITY_TABLE, "priority")
        if ours == "ticket.privacy" and self.only_new and len(leaf.values) == 1:
            public = getattr(leaf.values[0], "value", "") == "public"
            changed = leaf.model_copy(update={"path": path("comment.public"), "values": (Lit(value=public),)})
            return changed, "equivalent", "a new ticket is public where its first article is"
        if ours == "actor.role":
            changed = leaf.model_copy(update={"path": path("comment.role"), "null": False})
            if self.only_new:
                return changed, "equivalent", "who makes a ticket is who sends its first article"
            return changed, "approximated", "asks who sent the article: an update without one does not match"
        if ours == "comment.public":
            return self._public(leaf)
        if ours == "ticket.group" and (not leaf.values or leaf.null is not leaf.negated):
            return None, "untranslatable", "every ticket has a group there"
        if ours == "requester.language":
            return leaf, "approximated", "new customers have no language there until somebody enters it"
        if ours == "ticket.channel" and any(self.value(leaf.path, one) is None for one in leaf.values):
            return (
                self._came_by(leaf),
                "equivalent",
                "given the helper field ticket.came_by and the triggers that fill it",
            )
        given = bool(leaf.path.custom) or ours in names.HELPERS or ours == "ticket.channel"
        notes = {"ticket.channel": "given how the channels are named there"}
        note = notes.get(ours, "given the field is filled there" if given else "")
        return leaf, "equivalent" if given else "exact", note

    def _came_by(self, leaf: Is) -> Is:
        """Return a question for channels that are unknown there as one for the field that remembers the old word."""
        for native, ours in names.CHANNELS.items():
            asked = {"ticket.action": {"operator": "is", "value": "create"}}
            asked[names.PATHS["ticket.channel"]] = {"operator": "is", "value": f"<article_type:{native}>"}
            made = {"name": f"000 came by {ours}", "condition": asked, "perform": {"ticket.came_by": {"value": ours}}}
            self.book.need("trigger", made["name"], "fills ticket.came_by", {**made, "active": False})  # type: ignore[arg-type]
        return leaf.model_copy(update={"path": path("ticket.came_by"), "values": remembered(leaf)})

    def _public(self, leaf: Is) -> tuple[Is | None, Verdict, str]:
        seen = [getattr(one, "value", None) for one in leaf.values]
        values = tuple(Lit(value=one if isinstance(one, bool) else True) for one in seen)
        note = "a public article is one the customer sees" if "requester_sees" in seen else ""
        return leaf.model_copy(update={"values": values}), "equivalent" if note else "exact", note

    def _among(self, leaf: Is, name: str, values: list[Any], actors: list[Actor]) -> Native | None:
        operator = "is not" if leaf.negated else "is"
        person = str(leaf.path) in names.PEOPLE
        article = name.startswith("article.")
        parts: list[Native] = []
        if name == "article.internal":
            values = ["false" if one is True else "true" for one in values]
        for one in actors:
            before = f"current_user.{'organization_id' if one.who == 'current_user_organization' else 'id'}"
            parts.append({"name": name, "operator": operator, "pre_condition": before, "value": ""})
        listed_empty = not article and leaf.null is not leaf.negated
        if person or str(leaf.path) == "ticket.organization":
            if values:
                parts.append({"name": name, "operator": operator, "pre_condition": "specific", "value": _one(values)})
            if listed_empty:
                parts.append({"name": name, "operator": operator, "pre_condition": "not_set", "value": ""})
        elif values or not parts:
            parts.append({"name": name, "operator": operator, "value": _one(values + ([""] if listed_empty else []))})
        made = joined("AND" if leaf.negated else "OR", parts) if parts else None
        if made and article and leaf.null:
            return joined("OR", [made, {"name": "article.action", "operator": "is not", "value": "create"}])
        return made

    def _same(self, leaf: Same) -> tuple[Native | None, Verdict, str]:
        """Compare owner and customer by a text of both, which a trigger that runs first writes anew each time."""
        pair = {str(leaf.path), str(leaf.other)}
        if pair != {"ticket.assignee", "ticket.requester"} or leaf.null is not leaf.negated:
            return None, "untranslatable", "Zammad cannot compare two people of a ticket"
        if not self.regex:
            return None, "untranslatable", "Zammad can compare two people of a ticket in triggers only: by a pattern"
        title = f"000 {names.PEOPLE_FIELD.removeprefix('ticket.')}"
        self.book.need("attribute", names.PEOPLE_FIELD, "the numbers of owner and customer, as one text")
        asked = [{"name": "ticket.action", "operator": "is", "value": word} for word in ("create", "update")]
        native: Native = {"name": title, "condition": {"operator": "AND", "conditions": [joined("OR", asked)]}}
        native |= {"perform": {names.PEOPLE_FIELD: {"value": names.PEOPLE_TEXT}}, "active": False}
        self.book.need("trigger", title, f"fills {names.PEOPLE_FIELD} before the others run", native)
        operator = "does not match regex" if leaf.negated else "matches regex"
        made = {"name": names.PEOPLE_FIELD, "operator": operator, "value": names.PEOPLE_SAME}
        return made, "equivalent", f"given the helper field {names.PEOPLE_FIELD} and the trigger that fills it"

    def _tags(self, leaf: Tags) -> Native:
        value = ", ".join(leaf.tags)
        if leaf.negated:
            operator = "contains all not" if leaf.need == "all" and len(leaf.tags) > 1 else "contains one not"
            return {"name": "ticket.tags", "operator": operator, "value": value}
        if leaf.need == "all" and len(leaf.tags) > 1:
            return {"name": "ticket.tags", "operator": "contains all", "value": value}
        if self.many_tags:
            return inverse({"name": "ticket.tags", "operator": "contains one not", "value": value})
        return {"name": "ticket.tags", "operator": "contains one", "value": value}

    def _changed(self, leaf: Changed) -> tuple[Native | None, Verdict, str]:
        name = self.attribute(leaf.path)
        if name is None or not name.startswith("ticket."):
            return None, "untranslatable", "Zammad notices changes of tickets only"
        has: Native = {"name": name, "operator": "has changed", "value": ""}
        parts, notes = [inverse(has) if leaf.negated else has], list[str]()
        verdict: Verdict = "exact"
        for values, at in ((leaf.before, self._before(leaf.path)), (leaf.after, leaf.path)):
            if values is None:
                continue
            if at is None:
                return None, "untranslatable", "Zammad does not know what a value was before"
            made, one, note = self._asked(Is(path=at, values=values, negated=leaf.negated, null=leaf.negated))
            if made is None or one in ("approximated", "untranslatable"):
                return made, one, note
            parts.append(made)
            verdict, notes = "equivalent", [*notes, *([note] if note else [])]
        return joined("OR" if leaf.negated else "AND", parts), verdict, "; ".join(notes)

    def _asked(self, leaf: Is) -> tuple[Native | None, Verdict, str]:
        """Return the test of the new value, or of the one that a helper field remembers."""
        past = leaf.path.name.startswith("before:")
        if not past:
            return self._is(leaf)
        now = leaf.model_copy(update={"path": Path(of="ticket", name=leaf.path.name.removeprefix("before:"))})
        made, verdict, note = self._adapted(now)
        if made is None or verdict == "untranslatable":
            return None, verdict, note
        name = f"ticket.{now.path.name}_before"
        because = f"remembers the {now.path.name} of before; triggers that run last fill it"
        self.book.need("attribute", name, because)
        for word in names.STATUS_TABLE if now.path.name == "status" else names.PRIORITY_TABLE:
            if word is not None:
                self._remember(name, now.path, word)
        values = [self.value(now.path, one) for one in made.values]
        operator = "is not" if made.negated else "is"
        asked = {"name": name, "operator": operator, "value": _one(values)}
        return asked, verdict, f"given the helper field {name} and the triggers that fill it"

    def _remember(self, name: str, at: Path, word: str) -> None:
        value = self.value(at, Lit(value=word))
        condition = {str(self.attribute(at)): {"operator": "is", "value": value}}
        condition[name] = {"operator": "is not", "value": value}
        title = f"zzz {name.removeprefix('ticket.')} {word}"
        native = {"name": title, "condition": condition, "perform": {name: {"value": value}}, "active": False}
        self.book.need("trigger", title, f"fills {name} after all others have run", native)

    def _before(self, at: Path) -> Path | None:
        known = at.of == "ticket" and at.name in ("status", "priority")
        return Path(of="ticket", name=f"before:{at.name}") if known and not self.own else None

    def _elapsed(self, leaf: Elapsed) -> tuple[Native | None, Verdict, str]:
        name, note = self._anchor(leaf.anchor)
        if name is None or leaf.null:
            return None, "untranslatable", note or "Zammad cannot ask for what never happened together with a time"
        if leaf.op == "ne":
            return None, "untranslatable", "Zammad cannot ask for all hours but one"
        if leaf.op == "eq":
            bounds = [_relative(name, "ge", leaf.hours), _relative(name, "le", leaf.hours + 1)]
            made, note = joined("AND", bounds), f"{note}; the one hour in which the hourly job sees it".lstrip("; ")
        else:
            made = _relative(name, {"gt": "ge", "lt": "le"}.get(leaf.op, leaf.op), leaf.hours)
        if leaf.clock == "business":
            return made, "approximated", "Zammad counts hours of the clock here, not working hours"
        exact = self.own and leaf.op in ("ge", "le")
        grain = "" if exact else "to the minute"
        return made, "exact" if exact else "equivalent", "; ".join(part for part in (note, grain) if part)

    def _anchor(self, anchor: str) -> tuple[str | None, str]:
        if anchor.startswith("field:"):
            at = path(anchor.removeprefix("field:"))
            return self.attribute(at), ""
        if anchor.startswith("status:") or anchor == "assigned":
            return self._since(anchor)
        name = names.ANCHOR_NAMES.get(anchor)
        if name is None:
            return None, f"Zammad does not know when: {anchor.replace('_', ' ')}"
        if name == "ticket.due_at" and not self.own:
            self.book.need("attribute", name, "a date and time that holds when the ticket is due")
            return name, "given that the due date is moved"
        return name, ""

    def _since(self, anchor: str) -> tuple[str, str]:
        """Return the helper field that remembers when a status began, and note the trigger that fills it."""
        word = anchor.removeprefix("status:")
        name = f"ticket.since_{word}"
        if self.own:
            return name, ""
        at = "ticket.owner_id" if word == "assigned" else "ticket.state_id"
        asked: list[Native] = [{"name": at, "operator": "has changed", "value": ""}]
        if word != "assigned":
            state = self.value(path("ticket.status"), Lit(value=word))
            asked.append({"name": at, "operator": "is", "value": state})
        now = {"operator": "relative", "value": "0", "range": "minute"}
        native = {"name": f"000 {name.removeprefix('ticket.')}", "perform": {name: now}, "active": False}
        native["condition"] = {"operator": "AND", "conditions": asked}
        self.book.need("attribute", name, f"a date and time: when it last became {word}; moved with the tickets")
        self.book.need("trigger", str(native["name"]), f"fills {name}", native)
        return name, f"given the helper field {name} and the trigger that fills it"

    def _text(self, leaf: Text) -> tuple[Native | None, Verdict, str]:
        name = self.attribute(leaf.path)
        if name is None:
            return None, "untranslatable", f"Zammad cannot look into {leaf.path}"
        if leaf.mode == "regex" and not self.own:
            return None, "untranslatable", "patterns differ from vendor to vendor"
        if leaf.mode == "equal":
            asked = Is(
                path=leaf.path,
                values=tuple(Lit(value=one) for one in leaf.needles),
                negated=leaf.negated,
                null=leaf.null,
            )
            made = self._among(asked, name, list(leaf.needles), [])
            return made, "exact" if self.own else "approximated", "minds upper and lower case"
        words = leaf.mode in ("word", "phrase")
        loose = words and not self.regex
        if leaf.mode in ("starts", "ends") and leaf.negated:
            return None, "untranslatable", "Zammad cannot ask for what a text does not begin or end with"
        parts = [self._needle(leaf, name, needle) for needle in leaf.needles]
        together = (leaf.need == "all") is not leaf.negated
        made = joined("AND" if together else "OR", parts)
        natively_null = parts[0]["operator"] == "contains not" and not name.startswith("article.")
        if leaf.null is not natively_null:
            made = self._nulled(made, name, leaf.null)
        if loose:
            return made, "approximated", "finds the letters anywhere: patterns work in triggers only"
        return made, "equivalent" if words else "exact", "as a pattern for the whole word" if words else ""

    def _needle(self, leaf: Text, name: str, needle: str) -> Native:
        if leaf.mode == "regex" or (leaf.mode in ("word", "phrase") and self.regex):
            pattern = needle if leaf.mode == "regex" else word_pattern(needle)
            operator = "does not match regex" if leaf.negated else "matches regex"
            return {"name": name, "operator": operator, "value": pattern}
        if leaf.mode in ("starts", "ends"):
            return {"name": name, "operator": f"{leaf.mode} with", "value": needle}
        return {"name": name, "operator": "contains not" if leaf.negated else "contains", "value": needle}

    def _nulled(self, made: Native, name: str, null: bool) -> Native:
        if name.startswith("article."):
            missing = {"name": "article.action", "operator": "is not" if null else "is", "value": "create"}
        else:
            missing = {"name": name, "operator": "is" if null else "is not", "value": ""}
        return joined("OR" if null else "AND", [made, missing])

    def _compare(self, leaf: Compare) -> tuple[Native | None, Verdict, str]:
        name, word = self.attribute(leaf.path), str(leaf.value.value)
        date = len(word) >= 10 and word[4:5] == "-" and word[7:8] == "-"
        if name is None or not date or leaf.null:
            return None, "untranslatable", "Zammad compares dates only"
        if leaf.op in ("lt", "gt") and not self.own:
            return None, "untranslatable", "Zammad's before and after take in the day itself"
        operator = "before (absolute)" if leaf.op in ("le", "lt") else "after (absolute)"
        return {"name": name, "operator": operator, "value": word}, "exact", ""


def _inside(part: Native, operator: str) -> list[Native]:
    """Return the parts of a block that the same operator joins, or the part itself."""
    return list(part["conditions"]) if "conditions" in part and part["operator"] == operator else [part]


def _one(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _depth(native: Native) -> int:
    return 1 + max(map(_depth, native["conditions"]), default=0) if "conditions" in native else 0


def _event(leaf: Event) -> tuple[Native | None, Verdict, str]:
    operator = "is not" if leaf.negated else "is"
    parts: list[Native] = []
    for kind in leaf.kinds:
        if kind == "commented":
            parts.append({"name": "article.action", "operator": operator, "value": "create"})
        else:
            word = {"created": "create", "updated": "update"}.get(kind, kind)
            parts.append({"name": "ticket.action", "operator": operator, "value": word})
    return joined("AND" if leaf.negated else "OR", parts), "exact", ""


def _relative(name: str, op: str, hours: float) -> Native:
    """Return a comparison of hours since with ``hours`` (op: ge or le), in the largest unit that is whole."""
    ahead = hours < 0 or (hours == 0 and op == "le")
    operator = {("ge", False): "before (relative)", ("le", False): "from (relative)"}.get((op, ahead))
    operator = operator or ("till (relative)" if op == "ge" else "after (relative)")
    amount = abs(hours)
    for unit, size in (("day", 24.0), ("hour", 1.0)):
        if amount and (amount / size).is_integer():
            return {"name": name, "operator": operator, "value": str(int(amount / size)), "range": unit}
    return {"name": name, "operator": operator, "value": str(round(amount * 60)), "range": "minute"}
