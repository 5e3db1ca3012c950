"""Our rules written as Freshdesk's: one automation for new tickets, one for changes, one for time, and SLA policies.

There is no API for ticket views and none to write scenarios (its macros): those are work by hand.
"""

from __future__ import annotations

import json
from typing import Any

from migrator.rules import template
from migrator.rules.conditions import (
    Actor,
    All,
    Changed,
    Condition,
    Elapsed,
    Event,
    Is,
    Leaf,
    Lit,
    Opaque,
    Path,
    Ref,
    Tags,
    Text,
    Value,
    leaves,
)
from migrator.rules.conditions import Any as AnyOf
from migrator.rules.normal_forms import assume, given_event, sets, simple
from migrator.rules.notebook import Notebook
from migrator.rules.placeholders import escaped, translated
from migrator.rules.rule import Action, Comment, Follow, Hook, Mail, Rule, SetField, SetTags, Unread, Verb
from migrator.rules.verdicts import Translation, Verdict

from . import names

Native = dict[str, Any]
CLICKS = {
    "trigger": "Admin, Workflows, Automations",
    "timed": "Admin, Workflows, Automations, Hourly triggers",
    "macro": "Admin, Agent productivity, Scenario automations",
    "view": "Tickets, All views, Save as",
    "sla": "Admin, Workflows, SLA policies",
}
# No event there means "any update": every field that rules can watch is named.
WATCHED = ("status", "priority", "ticket_type", "group_id", "responder_id")
MOST = 2  # sets of conditions in a rule


def rule(source: Rule) -> Translation:
    """Return the rule as Freshdesk's API takes it; a rule of Freshdesk's own comes back as it was."""
    own = source.vendor == "freshdesk"
    book = Notebook(source, "freshdesk", click=CLICKS[source.kind])
    if source.kind in ("macro", "view") and not own:
        what = "scenarios cannot be written through the API" if source.kind == "macro" else "views have no API"
        book.add("rule", source.name, "untranslatable", f"{what}: to be made by hand")
        return book.done()
    for key, value in source.options if not own else ():
        book.add("rule", f"{key}: {value}", "approximated", "a setting of the old vendor")
    body: Native = {"name": source.name}
    if source.active is not None:
        body["active"] = source.active
    if source.description:
        body["description"] = source.description
    if source.position is not None:
        body["position"] = source.position
    if own:
        body |= {"id": source.id} if source.id else {}
        body |= {key: json.loads(value) for key, value in (*source.options, *source.kept) if "." not in key}
        body |= {key: json.loads(value) for key, value in source.unknown if "." not in key}
    writes = Conditions(book, own=own)
    if source.kind == "sla":
        return book.done({**body, **_sla(book, writes)})
    body["actions"] = [
        made for at, one in enumerate(source.do) if (made := Actions(book, writes, own=own).one(at, one))
    ]
    if source.kind == "macro":
        scenario = [{"name" if key == "field_name" else key: v for key, v in one.items()} for one in body["actions"]]
        return book.done({**body, "actions": scenario})
    if own:
        return book.done({**body, **writes.own_shape(source.when)})
    return book.done(*({**body, **shape} for shape in writes.shapes(source.when)))


def given(condition: Condition, event: str) -> Condition:
    """Return what is left of a condition, given that a ticket was created or updated: there, all tickets are public."""

    def known(leaf: Leaf) -> bool | None:
        if isinstance(leaf, Is) and str(leaf.path) == "ticket.privacy" and event == "created":
            return (Lit(value="public") in leaf.values) is not leaf.negated
        return None

    return assume(given_event(condition, event), known)


class Conditions:
    """Writes the condition of one rule."""

    def __init__(self, book: Notebook, *, own: bool) -> None:
        self.book, self.own = book, own
        self.noted: set[Leaf] = set()

    def shapes(self, when: Condition) -> list[Native]:
        """Return the rules that together mean the condition: by time, or for new tickets and for changed ones."""
        if self.book.rule.kind == "timed":
            note = "hourly; only tickets updated in the last 30 days"
            self.book.add("rule", "once an hour", "equivalent", note)
            if assume(when, lambda leaf: None) == AnyOf():
                self.book.add("when", "never", "exact", "nothing to write: it can never hold")
                return []
            return [{"rule_type": names.TIMED, **self._sets(when)}]
        made = []
        for event, kind in (("created", names.CREATION), ("updated", names.UPDATE)):
            left = given(when, event)
            if isinstance(left, AnyOf) and not left.of:
                continue
            self.only = event
            made.append({"rule_type": kind, **(self._update(left) if kind == names.UPDATE else self._sets(left))})
        for leaf in leaves(simple(when)):
            if str(getattr(leaf, "path", "")) == "ticket.privacy" and len(made) == 1 and self.only == "created":
                self._note(leaf, "equivalent", "tickets there are all public")
            if isinstance(leaf, Event) and leaf.kinds in (("created",), ("updated",)):
                self.book.leaf(leaf, "exact")
        if not made:
            self.book.add("when", "never", "exact", "nothing to write: it can never hold")
        if len(made) > 1:
            self.book.add("when", "new and changed tickets", "equivalent", "two rules, one for each")
        return made

    only = ""

    def _note(self, leaf: Leaf, verdict: Verdict, note: str = "") -> None:
        if (leaf, verdict) not in self.noted:
            self.noted.add((leaf, verdict))  # type: ignore[arg-type]
            self.book.leaf(leaf, verdict, note)

    def _update(self, left: Condition) -> Native:
        """Return an update rule: who, what happened, and the conditions on the ticket as it is."""
        parts = left.of if isinstance(left, All) else (left,)
        rest, events, performer = [], [], None
        for part in parts:
            found = self._event(part) if isinstance(part, Changed | Event | Is) else None
            if found is None:
                rest.append(part)
            elif "type" in found:
                performer = found
            else:
                events.append(found)
        if len(events) > 1:
            self.book.add("when", "several changes at once", "untranslatable", "of several events one is enough there")
        native: Native = {"performer": performer or {"type": 3}, **self._sets(All(of=tuple(rest)))}
        if not events:
            events = [{"field_name": name, "from": "--", "to": "--"} for name in WATCHED]
            events += [{"field_name": "reply_sent"}, {"field_name": "note_type", "value": "--"}]
            note = "every message and every change of status, priority, type, group or agent; not of other fields"
            self.book.add("when", "any update", "approximated", note)
        elif len(events) == 1 and "both" in events[0]:
            events = [{"field_name": "reply_sent"}, {"field_name": "note_type", "value": events[0]["both"]}]
        return native | {"events": events}

    def _event(self, leaf: Leaf) -> Native | None:
        """Return what an update rule says beside its sets: an event, ``both`` kinds of message, or a performer."""
        if isinstance(leaf, Is) and str(leaf.path) == "actor.role" and not leaf.negated:
            roles = tuple(sorted(str(getattr(one, "value", "")) for one in leaf.values))
            code = next((code for code, known in names.PERFORMERS.items() if tuple(sorted(known)) == roles), None)
            if code is not None:
                self._note(leaf, "equivalent", "as the performer")
                return {"type": code}
        actor = Actor(who="current_user")
        if isinstance(leaf, Is) and str(leaf.path) == "ticket.requester" and leaf.values == (actor,):
            self._note(leaf, "equivalent", "an agent acted" if leaf.negated else "the requester acted")
            return {"type": 1 if leaf.negated else 2}
        if isinstance(leaf, Is) and str(leaf.path) == "comment.public" and not leaf.null:
            public = getattr(leaf.values[0], "value", None) in (True, "requester_sees") if leaf.values else None
            if public is not None and len(leaf.values) == 1:
                self._note(leaf, "equivalent", "a reply, or a note of that kind, comes in")
                return (
                    {"both": "public"}
                    if public is not leaf.negated
                    else {"field_name": "note_type", "value": "private"}
                )
        if isinstance(leaf, Event) and leaf.kinds == ("commented",) and not leaf.negated:
            self._note(leaf, "equivalent", "a reply or a note comes in")
            return {"both": "--"}
        if isinstance(leaf, Changed) and not leaf.negated:
            return self._changed(leaf)
        return None

    def _changed(self, leaf: Changed) -> Native | None:
        place = self.place(leaf.path)
        if place is None or place[0] != "ticket":
            return None
        native: Native = {"field_name": place[1]}
        worst: tuple[Verdict, str] = ("exact", "")
        for side, values in (("from", leaf.before), ("to", leaf.after)):
            if values is None:
                native[side] = "--"
                continue
            asked, verdict, note = self.adapted(Is(path=leaf.path, values=values))
            made = [self.value(leaf.path, one) for one in asked.values]
            if len(made) != 1 or made[0] is None or verdict in ("untranslatable", "approximated"):
                self._note(leaf, verdict if verdict == "approximated" else "untranslatable", note or "one value only")
                return native
            native[side], worst = made[0], (verdict, note)
        self._note(leaf, *worst)
        return native

    def _sets(self, when: Condition) -> Native:
        """Return one or two sets of conditions; deeper trees do not fit."""
        flat = assume(when, lambda leaf: None)
        found = sets(flat)
        if found is None or len(found) > MOST:
            self.book.add("when", "the whole condition", "untranslatable", "more than two sets of conditions")
            for leaf in leaves(flat):
                self.leaf(leaf)
            return {"conditions": []}
        made: list[Native] = []
        for at, (every, some) in enumerate(found, 1):
            natives = [native for leaf in some if (native := self.leaf(leaf))]
            match = "all" if every else "any"
            if natives:
                made.append({"name": f"condition_set_{at}", "match_type": match, "properties": natives})
        return {"conditions": made, **({"operator": "AND"} if len(made) > 1 else {})}

    def leaf(self, leaf: Leaf) -> Native | None:
        """Return one condition with its verdict noted; None where Freshdesk has no word for it."""
        native, verdict, note = self._leaf(leaf)
        self._note(leaf, verdict if native is not None else "untranslatable", note)
        return native

    def _leaf(self, leaf: Leaf) -> tuple[Native | None, Verdict, str]:
        if isinstance(leaf, Is):
            return self._is(leaf)
        if isinstance(leaf, Tags):
            if not leaf.tags or (leaf.need == "all" and len(leaf.tags) > 1):
                return None, "untranslatable", "Freshdesk asks for one of several tags only"
            return _made("ticket", "tag_names", "not_in" if leaf.negated else "in", list(leaf.tags)), "exact", ""
        if isinstance(leaf, Text):
            return self._text(leaf)
        if isinstance(leaf, Elapsed):
            return self._elapsed(leaf)
        if isinstance(leaf, Opaque) and self.own:
            return json.loads(leaf.text), "exact", ""
        notes = {
            "changed": "Freshdesk cannot ask that something did not change",
            "event": "Freshdesk cannot ask that there was no message",
            "same": "Freshdesk cannot compare two people of a ticket",
            "hours": "Freshdesk asks for working hours in its own way only",
            "compare": "Freshdesk does not compare this",
        }
        return None, "untranslatable", notes.get(leaf.type, "Freshdesk has no such condition")

    def adapted(self, leaf: Is) -> tuple[Is, Verdict, str]:
        """Return the leaf over the values as they are after the move."""
        tables = {"ticket.status": names.STATUS_TABLE, "ticket.priority": names.PRIORITY_TABLE}
        table = tables.get(str(leaf.path))
        if self.own or table is None:
            custom = bool(leaf.path.custom) and not self.own
            return leaf, "equivalent" if custom else "exact", "given the field is there" if custom else ""
        return self.book.image(leaf, table, leaf.path.name)

    def place(self, at: Path) -> tuple[str, str] | None:
        """Return (resource_type, field_name) of a path, or None."""
        if at.custom:
            kind = {"ticket": "ticket", "requester": "contact", "organization": "company"}.get(at.of)
            name = f"cf_{at.custom}" if self.own else names.custom(at.custom)
            if kind and not self.own:
                self.book.need(f"{kind} field", name, f"it holds the custom field {at.custom}")
            return (kind, name) if kind else None
        return names.PATHS.get(str(at))

    def value(self, at: Path, value: Value) -> Any:
        """Return a value as Freshdesk has it; a reference to a record is named in ``<kind:id>``."""
        if isinstance(value, Ref):
            if at.name in ("status", "priority", "channel", "type") and at.of == "ticket":
                return (int(value.id) if value.id.isdigit() else value.id) if self.own else None
            plain = self.own and value.id.isdigit()
            return int(value.id) if plain else f"<{value.kind}:{value.id}>"
        held = getattr(value, "value", None)
        tables: dict[str, Any] = {"ticket.status": names.STATUS_CODES, "ticket.priority": names.PRIORITY_CODES}
        tables |= {"ticket.channel": names.CHANNEL_CODES, "ticket.type": names.TYPE_NAMES}
        return tables[str(at)].get(held) if str(at) in tables else held

    def _is(self, leaf: Is) -> tuple[Native | None, Verdict, str]:
        place = self.place(leaf.path)
        if place is None or any(isinstance(one, Actor) for one in leaf.values):
            return None, "untranslatable", "Freshdesk cannot ask this"
        made, verdict, note = self.adapted(leaf)
        values = [self.value(made.path, one) for one in made.values]
        if verdict == "untranslatable" or None in values:
            return None, "untranslatable", note or f"Freshdesk has no such {leaf.path.name}"
        if made.null is not made.negated:
            values.append("")
        if leaf.path.name == "language" or (leaf.path.name == "type" and None in values):
            verdict, note = "approximated", "languages are named otherwise there"
        return _made(*place, "not_in" if made.negated else "in", values), verdict, note

    def _text(self, leaf: Text) -> tuple[Native | None, Verdict, str]:
        place = self.place(leaf.path)
        operators = {shape: name for name, shape in names.TEXTS.items()}
        words = leaf.mode in ("word", "phrase")
        operator = operators.get(("substring" if words else leaf.mode, leaf.negated))
        many = leaf.need == "all" and len(leaf.needles) > 1
        if place is None or operator is None or leaf.null is not leaf.negated or many:
            return None, "untranslatable", "Freshdesk cannot ask this of a text"
        note = "finds the letters anywhere, not the whole word" if words else ""
        return _made(*place, operator, list(leaf.needles)), "approximated" if words else "exact", note

    def _elapsed(self, leaf: Elapsed) -> tuple[Native | None, Verdict, str]:
        name = names.ANCHORS.get(leaf.anchor)
        operator = names.ORDER_NAMES.get(leaf.op)
        fits = leaf.hours >= 1 and float(leaf.hours).is_integer() and self.book.rule.kind == "timed"
        if name is None or operator is None or leaf.null or not fits:
            return None, "untranslatable", f"Freshdesk does not count the hours since {leaf.anchor}"
        if leaf.clock == "business":
            return None, "untranslatable", "Freshdesk counts hours of the clock here"
        verdict: Verdict = "exact" if self.own else "equivalent"
        return _made("ticket", name, operator, int(leaf.hours)), verdict, "" if self.own else "checked once an hour"

    def own_shape(self, when: Condition) -> Native:
        """Return what Freshdesk's own reader made the condition from."""
        kind, native, found = names.TIMED, {}, []
        for part in when.of if isinstance(when, All) else ():
            if isinstance(part, Event):
                kind = names.CREATION if part.kinds == ("created",) else names.UPDATE
            elif isinstance(part, Opaque) or (isinstance(part, Is) and str(part.path) == "actor.role"):
                roles = tuple(getattr(one, "value", "") for one in getattr(part, "values", ()))
                code = next((code for code, known in names.PERFORMERS.items() if known == roles), None)
                native |= json.loads(part.text) if isinstance(part, Opaque) else {"performer": {"type": code}}
            elif isinstance(part, AnyOf) and part.of and all(isinstance(one, Changed | Event) for one in part.of):
                native["events"] = [_own_event(self, one) for one in part.of]
            elif isinstance(part, AnyOf) and part.of and all(isinstance(one, All | AnyOf) for one in part.of):
                found, native["operator"] = list(part.of), "OR"
            else:
                found.append(part)
        listed = [
            {
                "name": f"condition_set_{at}",
                "match_type": "any" if isinstance(one, AnyOf) else "all",
                "properties": [self.leaf(leaf) for leaf in getattr(one, "of", ())],
            }
            for at, one in enumerate(found, 1)
        ]
        if len(listed) > 1:
            native.setdefault("operator", "AND")
        return {"rule_type": kind, **native, **({"conditions": listed} if listed else {})}


def _own_event(writes: Conditions, leaf: Any) -> Native:
    if isinstance(leaf, Event):
        word, _, value = leaf.kinds[0].partition("_")
        name = next(theirs for theirs, ours in names.EVENTS.items() if ours == word)
        return {"field_name": name, **({"value": value} if value else {})}
    assert isinstance(leaf, Changed)
    place = writes.place(leaf.path)
    native: Native = {"field_name": place[1] if place else ""}
    for side, values in (("from", leaf.before), ("to", leaf.after)):
        native[side] = "--" if values is None else writes.value(leaf.path, values[0]) if values else ""
    return native


def _made(kind: str, name: str, operator: str, value: Any) -> Native:
    return {"resource_type": kind, "field_name": name, "operator": operator, "value": value}


class Actions:
    """Writes the actions of one rule."""

    def __init__(self, book: Notebook, writes: Conditions, *, own: bool) -> None:
        self.book, self.writes, self.own = book, writes, own

    def text(self, at: int, body: template.Template, *, plain: bool = False) -> str:
        """Return a text in Freshdesk's placeholders, as HTML unless ``plain``."""
        if self.own:
            return template.write(body, template.BRACES)
        said = str if body.html or plain else escaped
        return translated(self.book, at, body, names.placeholder, said=said)

    def one(self, at: int, action: Action) -> Native | None:
        """Return one action with its verdict noted; None where Freshdesk has no word for it."""
        book = self.book
        if isinstance(action, SetField):
            return self._set(at, action)
        if isinstance(action, SetTags) and action.how != "replace":
            book.action(at, "exact")
            return {"field_name": "add_tag" if action.how == "add" else "remove_tag", "value": list(action.tags)}
        if isinstance(action, Mail):
            return self._mail(at, action)
        if isinstance(action, Comment) and not action.public:
            book.action(at, "exact")
            return {"field_name": "add_comment", "value": self.text(at, action.body)}
        if isinstance(action, Comment):
            book.action(at, "equivalent", "a rule there cannot reply: the text goes by mail to the requester")
            subject = "{{ticket.subject}}"
            mail = {"field_name": "send_email_to_requester", "email_subject": subject}
            return {**mail, "email_body": self.text(at, action.body)}
        if isinstance(action, Hook):
            return self._hook(at, action)
        if isinstance(action, Follow) and action.how == "follower":
            book.action(at, "exact")
            return {
                "field_name": "add_watcher",
                "value": self.writes.value(Path(of="ticket", name="assignee"), action.who),
            }
        if isinstance(action, Verb):
            word = {"delete": "delete_ticket", "spam": "mark_as_spam"}.get(action.word, action.word)
            if word in ("delete_ticket", "mark_as_spam", "skip_notification"):
                book.action(at, "exact")
                return {"field_name": word}
        if isinstance(action, Unread) and self.own:
            book.action(at, "exact")
            return {"field_name": action.name, **json.loads(action.text)}
        book.action(at, "untranslatable", getattr(action, "why", "Freshdesk has no such action"))
        return None

    def _set(self, at: int, action: SetField) -> Native | None:
        place = self.writes.place(action.path)
        ours, value = str(action.path), action.value
        if place is None or place[0] != "ticket" or isinstance(value, Actor) or (value and value.type == "days"):
            self.book.action(at, "untranslatable", f"Freshdesk's rules cannot set {ours}")
            return None
        verdict: Verdict = "exact"
        note, held = "", value
        tables = {"ticket.status": names.STATUS_TABLE, "ticket.priority": names.PRIORITY_TABLE}
        if not self.own and ours in tables:
            word, verdict, note = self.book.unset(ours, getattr(value, "value", None), tables[ours])
            held = Lit(value=str(word))
        elif not self.own and action.path.custom:
            verdict, note = "equivalent", "given the field is there"
        native = None if held is None else self.writes.value(action.path, held)
        if verdict == "untranslatable" or (native is None and held is not None):
            self.book.action(at, "untranslatable", note or "there is no such value there")
            return None
        self.book.action(at, verdict, note)
        return {"field_name": place[1], "value": "" if native is None else native}

    def _mail(self, at: int, action: Mail) -> Native | None:
        names_of = {"requester": "requester", "user": "agent", "assignee": "agent", "group": "group"}
        known = [one for one in action.to if one.who in names_of]
        if not known:
            self.book.action(at, "untranslatable", "Freshdesk mails the requester, an agent or a group")
            return None
        to = known[0]
        lost = ", ".join(one.who.replace("_", " ") for one in action.to if one is not to)
        self.book.action(at, "approximated" if lost else "exact", f"not sent to: {lost}" if lost else "")
        native: Native = {"field_name": f"send_email_to_{names_of[to.who]}"}
        if to.who == "assignee":
            native["email_to"] = -2  # the ticket's agent
        elif to.who != "requester":
            plain = self.own and to.id.isdigit()
            native["email_to"] = int(to.id) if plain else f"<{to.who}:{to.id}>" if not self.own else to.id
        subject = self.text(at, action.subject, plain=True)
        return native | {"email_subject": subject, "email_body": self.text(at, action.body)}

    def _hook(self, at: int, action: Hook) -> Native:
        native: Native = {"field_name": "trigger_webhook", "request_type": action.method, "url": action.target}
        text = self.text(at, action.body, plain=True) if action.body else None
        if self.own:
            self.book.action(at, "exact")
            options = {key: json.loads(value) for key, value in action.options if key != "content"}
            if action.headers:
                options["custom_headers"] = {key: value.get_secret_value() for key, value in action.headers}
            if text is not None:
                options["content"] = json.loads(text) if ("content", "json") in action.options else text
            return native | options
        self.book.action(at, "equivalent", "address and secrets are entered again")
        self.book.need("webhook address", action.target, "the old vendor does not hand out what its webhooks call")
        return native | {"content_type": "JSON", "content_layout": "2", "content": text or "", "custom_headers": {}}


def _sla(book: Notebook, writes: Conditions) -> Native:
    """Return filter and times: a policy has all three times for each of the four priorities."""
    source = book.rule
    applies: Native = {}
    flat = assume(source.when, lambda leaf: None)
    for leaf in flat.of if isinstance(flat, All) else (flat,):
        key = names.APPLIED.get(str(getattr(leaf, "path", "")))
        fits = isinstance(leaf, Is) and not leaf.negated and not leaf.null and key
        values = [writes.value(leaf.path, one) for one in leaf.values] if isinstance(leaf, Is) and fits else [None]
        if None in values or not fits:
            what = leaf if not isinstance(leaf, All | AnyOf) else None
            note = "SLA policies there are for companies, groups, products, sources or types"
            if isinstance(leaf, Opaque) and writes.own:
                applies |= json.loads(leaf.text)
            elif what is not None:
                book.leaf(what, "untranslatable", note)  # type: ignore[arg-type]
            else:
                book.add("when", "the whole condition", "untranslatable", note)
            continue
        applies[str(key)] = values
        book.leaf(leaf, "exact")  # type: ignore[arg-type]
    times: Native = {}
    for target in source.targets:
        what = f"{target.metric.replace('_', ' ')} in {target.seconds // 60} minutes for {target.priority or 'all'}"
        name = names.METRIC_NAMES.get(target.metric)
        if name is None or target.priority not in ("", *names.PRIORITY_CODES):
            why = "measure this time" if name is None else "know this priority"
            book.add("targets", what, "untranslatable", f"Freshdesk does not {why}")
            continue
        book.add("targets", what, "exact")
        for priority in [target.priority] if target.priority else list(names.PRIORITY_CODES):
            into = times.setdefault(f"priority_{names.PRIORITY_CODES[priority]}", {})
            into |= {name: target.seconds, "business_hours": target.business}
    for priority in dict.fromkeys(target.priority for target in source.targets):
        if len({target.business for target in source.targets if target.priority == priority}) > 1:
            note = "a priority has one clock for all its times"
            book.add("targets", f"clocks of {priority or 'all'}", "approximated", note)
    lacking = [word for word, code in names.PRIORITY_CODES.items() if f"priority_{code}" not in times]
    if lacking and not writes.own:
        note = "a policy there needs times for every priority, where the old one promises none"
        book.add("targets", f"no times for {', '.join(lacking)}", "approximated", note)
    for key, value in source.options if writes.own else ():
        priority, _, switch = key.partition(".")
        if switch:
            times.setdefault(priority, {})[switch] = json.loads(value)
    return {"applicable_to": applies, "sla_target": times}
