"""Our rules written as Chatwoot's: automation rules, macros, saved filters, SLA policies; own ones as they were."""

from __future__ import annotations

import json
from typing import Any

from migrator.rules import template
from migrator.rules.conditions import (
    Actor,
    Lit,
)
from migrator.rules.notebook import Notebook
from migrator.rules.placeholders import translated
from migrator.rules.rule import Action, Comment, Hook, Mail, Rule, SetField, SetTags, Unread, Verb
from migrator.rules.verdicts import Translation, Verdict

from . import builtin, hours, names, policies
from .conditions import Conditions
from .reading import VERBS

Native = dict[str, Any]
CLICK = "Settings, Automation, Add automation rule"
CLICKS = {
    "macro": "Settings, Macros, Add a new macro",
    "view": "Conversations, the funnel at the top (Filter), Save filter",
    "timed": "Settings, Account Settings, Auto-resolve conversations: the one thing that time does there",
    "schedule": "Settings, Inboxes, the inbox, Business Hours",
}
TIMED = "Chatwoot has no rules that run by the clock"
SNOOZE = f"{TIMED}: an agent snoozes a conversation until a date, and it opens by itself"


def rule(source: Rule) -> Translation:
    """Return the rule as Chatwoot's API takes it; a rule of Chatwoot's own comes back as it was."""
    own = source.vendor == "chatwoot"
    book = Notebook(source, "chatwoot", click=CLICKS.get(source.kind, CLICK))
    if source.kind == "schedule":
        return hours.week(source, book)
    if source.kind in ("timed", "trigger") and not own and builtin.by_itself(source, book):
        return book.done()
    if source.kind == "timed":
        book.add("rule", source.name, "untranslatable", _timed(source))
        return book.done()
    if source.kind == "sla":
        return policies.policy(source, book)
    body: Native = {"name": source.name}
    if source.description and source.kind == "trigger":
        body["description"] = source.description
    if source.active is not None and source.kind == "trigger":
        body["active"] = source.active
    writes = Conditions(book, own=own)
    acts = Actions(book, writes)
    does = [made for at, one in enumerate(source.do) for made in acts.action(at, one)]
    if own:
        return book.done(_home(source, writes, body, does))
    for key, value in source.options:
        book.add("rule", f"{key}: {value}", "approximated", "a setting of the old vendor")
    if source.description and source.kind != "trigger":
        book.add("rule", source.description, "equivalent", "a description has no place there")
    if source.kind == "view":
        payload = writes.flat(source.when, "view")
        _view(source, book)
        return book.done({**body, "query": {"payload": payload}})
    for one in source.audience:
        book.add("rule", f"for {one.kind} {one.id}", "approximated", "macros there are one person's or everybody's")
    if source.kind == "macro":
        if source.position is not None:
            book.add("rule", f"position {source.position}", "equivalent", "macros are listed by name there")
        return book.done({**body, "visibility": "global", "actions": does})
    if source.position is not None:
        book.add(
            "rule", f"position {source.position}", "equivalent", "rules there have no order; none sets off another"
        )
    return book.done(*({**body, **shape, "actions": does} for shape in writes.shapes(source.when)))


def _home(source: Rule, writes: Conditions, body: Native, does: list[Native]) -> Native:
    """Return a rule of Chatwoot's as it was."""
    held = {key: json.loads(value) for key, value in (*source.kept, *source.options, *source.unknown)}
    shape = writes.own_shape(source.when)
    if source.kind == "view":
        return {**body, **held, "query": {"payload": shape["conditions"]}}
    if source.do:
        held["actions"] = does
    return {**body, **held} if source.kind == "macro" else {**body, **held, **shape}


def _timed(source: Rule) -> str:
    """Return what is said of a rule that runs by the clock."""
    sets = {str(one.path): getattr(one.value, "value", None) for one in source.do if isinstance(one, SetField)}
    return SNOOZE if sets.get("ticket.status") in ("open", "pending") else TIMED


def _view(source: Rule, book: Notebook) -> None:
    """Note what a saved filter has not: other readers, columns, an order."""
    note = "it is seen by the owner of the token alone: each agent saves it for himself"
    book.add("rule", source.name, "approximated", note)
    for one in source.audience:
        book.add("rule", f"for {one.kind} {one.id}", "approximated", note)
    if source.position is not None:
        book.add(
            "rule", f"position {source.position}", "equivalent", "saved filters stand in the order of their making"
        )
    looks = source.view.model_dump(exclude_defaults=True) if source.view else {}
    if looks:
        said = "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in looks.items())
        book.add("rule", said, "equivalent", "lists look alike there; each agent picks an order")


class Actions:
    """Writes the actions of one rule."""

    def __init__(self, book: Notebook, writes: Conditions) -> None:
        self.book, self.writes = book, writes

    def text(self, at: int, body: template.Template) -> str:
        """Return a text in Chatwoot's placeholders."""
        if self.writes.own:
            return template.write(body, template.LIQUID)
        clicked = self.book.rule.kind == "macro"
        return translated(self.book, at, body, lambda word: names.placeholder(word, clicked=clicked), liquid=True)

    def action(self, at: int, action: Action) -> list[Native]:
        """Return one action with its verdict noted; none where Chatwoot has no word for it."""
        found = self._action(at, action)
        if found is None:
            self.book.action(at, "untranslatable", getattr(action, "why", "Chatwoot has no such action"))
            return []
        name, listed = found
        if not name:
            return []
        if self.book.rule.kind == "macro" and not self.writes.own and name in names.MACRO_LACKS:
            self.book.action(at, "untranslatable", "a macro cannot do this there; an automation rule can")
            return []
        return [{"action_name": name, "action_params": listed}]

    def _action(self, at: int, action: Action) -> tuple[str, Any] | None:
        book = self.book
        if isinstance(action, SetField):
            return self._set(at, action)
        if isinstance(action, SetTags) and action.how != "replace":
            book.action(at, "exact")
            return f"{action.how}_label", self.writes.labels(action.tags)
        if isinstance(action, Comment):
            book.action(at, "exact")
            return "send_message" if action.public else "add_private_note", [self.text(at, action.body)]
        if isinstance(action, Mail):
            return self._mail(at, action)
        if isinstance(action, Hook):
            if self.writes.own:
                book.action(at, "exact")
                return "send_webhook_event", [action.target]
            book.action(
                at, "approximated", "Chatwoot sends its own body, without headers; the address is entered again"
            )
            return "send_webhook_event", [f"<webhook:{action.target}>"]
        if isinstance(action, Verb) and action.word in VERBS:
            book.action(at, "exact")
            return action.word, list(action.values)
        if isinstance(action, Unread) and self.writes.own:
            book.action(at, "exact")
            return action.name, json.loads(action.text).get("action_params")
        return None

    def _mail(self, at: int, action: Mail) -> tuple[str, Any] | None:
        if not self.writes.own and {one.who for one in action.to} <= {"requester", "ccs"}:
            note = (
                "as a message in the conversation, which the channel of its inbox sends; it has no subject of its own"
            )
            self.book.action(at, "approximated", note)
            return "send_message", [self.text(at, action.body)]
        if any(one.who != "group" for one in action.to):
            if not self.writes.own and (why := builtin.told(action)):
                self.book.action(at, "untranslatable", why, click=builtin.CLICK)
                return "", []
            return None
        if not self.writes.own:
            self.book.action(at, "equivalent", "Chatwoot writes the subject itself")
            self.text(at, action.subject)
        else:
            self.book.action(at, "exact")
        teams = [one.id if self.writes.own else f"<team:{one.id}>" for one in action.to]
        return "send_email_to_team", [{"message": self.text(at, action.body), "team_ids": teams}]

    def _set(self, at: int, action: SetField) -> tuple[str, Any] | None:
        fields = {"ticket.group": "assign_team", "ticket.assignee": "assign_agent", "ticket.status": "change_status"}
        fields |= {"ticket.priority": "change_priority", "ticket.sla_policy": "add_sla"}
        if self.writes.own:
            fields["ticket.files"] = "send_attachment"
        ours, value = str(action.path), action.value
        if ours not in fields or (isinstance(value, Actor) and not (self.writes.own or self.book.rule.kind == "macro")):
            return None
        verdict: Verdict = "exact"
        note, held = "", value
        if ours == "ticket.status" and not self.writes.own:
            word, verdict, note = self.book.unset(ours, getattr(value, "value", None), names.STATUS_TABLE)
            held = Lit(value=str(word))
        native = "nil" if held is None else self.writes.value(action.path, held)
        if native is None or verdict == "untranslatable":
            return None
        self.book.action(at, verdict, note)
        return fields[ours], [native]
