"""Our rules written as Freshdesk's: one automation for new tickets, one for changes, one for time, and SLA policies.

There is no API for ticket views and none to write scenarios (its macros): what a macro says becomes a canned response.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import partial
from typing import Any

from migrator.rules import template
from migrator.rules.conditions import (
    Actor,
    All,
    Is,
    Lit,
    Not,
    Opaque,
    Path,
)
from migrator.rules.conditions import Any as AnyOf
from migrator.rules.normal_forms import assume
from migrator.rules.notebook import Notebook
from migrator.rules.placeholders import escaped, translated
from migrator.rules.references import is_mark
from migrator.rules.replies import tells_of_replies, unneeded, worded
from migrator.rules.rule import Action, Comment, Follow, Hook, Mail, Rule, SetField, SetTags, Target, Unread, Verb
from migrator.rules.texts import as_text, says
from migrator.rules.verdicts import Translation, Verdict

from . import names, sections
from .conditions import Conditions
from .needs import added
from .shapes import given, own_shape, shapes

Native = dict[str, Any]
# Helpdesk::Note notifications; both kinds are ticked in Admin, Email notifications, from the beginning.
REPLIES = "Freshdesk mails replies and public notes to the requester and those in copy by itself"
ALL_AGENTS = "All agents"  # a group
CLICKS = {
    "trigger": "Admin, Workflows, Automations",
    "timed": "Admin, Workflows, Automations, Hourly triggers",
    "macro": "Admin, Agent productivity, Scenario automations",
    "view": "Tickets, All views, Save as",
    "sla": "Admin, Workflows, SLA policies",
    "form": "Admin, Workflows, Ticket fields",
}


def rule(source: Rule, *, apart: Collection[str] = names.ALL_ADDED) -> Translation:
    """Return the rule as Freshdesk's API takes it; a rule of Freshdesk's own comes back as it was.

    ``apart``: which of the added statuses the account has.
    """
    own = source.vendor == "freshdesk"
    book = Notebook(source, "freshdesk", click=CLICKS[source.kind])
    if source.kind == "form":
        return book.done(*sections.write(book, source))
    if source.kind == "macro" and not own and says(book):
        return as_text(book, "canned_response", "a canned response", partial(_response, book), groups=True)
    if source.kind in ("macro", "view") and not own:
        what = "scenarios cannot be written through the API" if source.kind == "macro" else "views have no API"
        book.add("rule", source.name, "untranslatable", f"{what}: to be made by hand")
        return book.done()
    for key, value in source.options if not own else ():
        book.add("rule", f"{key}: {value}", "approximated", "a setting of the old vendor")
    if not own and source.kind == "trigger" and tells_of_replies(source) and given(source.when, "created") == AnyOf():
        if not any(worded(one.body) for one in source.do if isinstance(one, Mail)):
            unneeded(book, "Freshdesk", "equivalent", f"{REPLIES}, with its own subject")
            return book.done()
        book.add("do 1", "the mail of the reply itself", "equivalent", f"{REPLIES}; this mail comes besides")
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
    writes = Conditions(book, own=own, apart=apart)
    if source.kind == "sla":
        return book.done({**body, **_sla(book, writes)})
    body["actions"] = [
        made for at, one in enumerate(source.do) if (made := Actions(book, writes, own=own).one(at, one))
    ]
    if source.kind == "macro":
        scenario = [{"name" if key == "field_name" else key: v for key, v in one.items()} for one in body["actions"]]
        return book.done({**body, "actions": scenario})
    if own:
        return book.done({**body, **own_shape(writes, source.when)})
    return book.done(*({**body, **shape} for shape in shapes(writes, source.when)))


def _response(book: Notebook, at: int, action: Comment) -> str:
    """Return a macro's text as a canned response's; there is no update yet that its placeholders could speak of."""

    def placeholder(meaning: str) -> str | None:
        if meaning == "actor.name":
            book.add(f"do {at + 1}", "the agent's name", "approximated", "prints the ticket's agent, whoever answers")
            return names.placeholder("assignee.name")
        found = names.placeholder(meaning)
        return found if found and found.startswith(("{{ticket.", "{{helpdesk_name")) else None

    said = str if action.body.html else escaped
    return translated(book, at, action.body, placeholder, said=said)


class Actions:
    """Writes the actions of one rule."""

    def __init__(self, book: Notebook, writes: Conditions, *, own: bool) -> None:
        self.book, self.writes, self.own = book, writes, own

    def text(self, at: int, body: template.Template, *, plain: bool = False) -> str:
        """Return a text in Freshdesk's placeholders, as HTML unless ``plain``."""
        if self.own:
            return template.write(body, template.LIQUID)
        said = str if body.html or plain else escaped
        return translated(self.book, at, body, names.placeholder, said=said)

    def one(self, at: int, action: Action) -> Native | None:
        """Return one action with its verdict noted; None where Freshdesk has no word for it."""
        book = self.book
        if isinstance(action, SetField):
            return self._set(at, action)
        if isinstance(action, SetTags) and action.how != "replace":
            verdict: Verdict = "exact" if action.how == "add" or self.own else "approximated"
            book.action(
                at, verdict, "" if verdict == "exact" else "old lists of what rules may do there have no such action"
            )
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
        tables = {"ticket.status": names.status_table(self.writes.apart), "ticket.priority": names.PRIORITY_TABLE}
        if not self.own and ours in tables:
            word, verdict, note = self.book.unset(ours, getattr(value, "value", None), tables[ours])
            held = Lit(value=str(word))
            if word in names.ADDED_STATUSES:
                added(self.book, str(word))
                verdict, note = "equivalent", f"given the status “{names.ADDED_STATUSES[str(word)][0]}” is added there"
        elif not self.own and (action.path.custom or ours in names.HELPERS):
            verdict, note = "equivalent", "given the field is there"
        native = None if held is None else self.writes.value(action.path, held)
        if verdict == "untranslatable" or (native is None and held is not None):
            self.book.action(at, "untranslatable", note or "there is no such value there")
            return None
        self.book.action(at, verdict, note)
        return {"field_name": place[1], "value": "" if native is None else native}

    def _mail(self, at: int, action: Mail) -> Native | None:
        names_of = {"requester": "requester", "user": "agent", "group": "group", "all_agents": "group"}
        names_of |= dict.fromkeys(names.MAILED, "agent")
        known = [one for one in action.to if one.who in names_of]
        if not known:
            self.book.action(at, "untranslatable", "Freshdesk mails the requester, an agent or a group")
            return None
        to = known[0]
        lost = ", ".join(one.who.replace("_", " ") for one in action.to if one is not to)
        everybody = to.who == "all_agents"
        said: tuple[Verdict, str] = (
            ("equivalent", "given a group that all agents are in") if everybody else ("exact", "")
        )
        self.book.action(at, *(("approximated", f"not sent to: {lost}") if lost else said))
        if to.who == "current_user" and not self.own and given(self.book.rule.when, "created") != AnyOf():
            self.book.action(at, "approximated", "rules there are told who acted when a ticket changes only")
        if everybody:
            self.book.need("group", ALL_AGENTS, "a rule there mails a group: put everybody who answers into it")
        native: Native = {"field_name": f"send_email_to_{names_of[to.who]}"}
        if to.who in names.MAILED:
            native["email_to"] = names.MAILED[to.who]
        elif everybody:
            native["email_to"] = f"<group:{ALL_AGENTS}>"
        elif to.who != "requester":
            plain = self.own and to.id.isdigit()
            told = f"<{to.who}:{to.id}>" if not self.own and not is_mark(to.id) else to.id
            native["email_to"] = int(to.id) if plain else told
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
            note = "SLA policies there are for companies, groups, products, sources or types"
            if isinstance(leaf, Opaque) and writes.own:
                applies |= json.loads(leaf.text)
            elif isinstance(leaf, All | AnyOf | Not):
                book.add("when", "the whole condition", "untranslatable", note)
            else:
                book.leaf(leaf, "untranslatable", note)
            continue
        applies[str(key)] = values
        assert isinstance(leaf, Is)
        book.leaf(leaf, "exact")
    return {"applicable_to": applies, "sla_target": _times(book, writes)}


def _times(book: Notebook, writes: Conditions) -> Native:
    """Return the times by priority, with what is promised there and was not here."""
    source, own = book.rule, writes.own
    times: Native = {}
    for target in source.targets:
        what = f"{target.metric.replace('_', ' ')} in {target.seconds // 60} minutes for {target.priority or 'all'}"
        name = "resolve_within" if target.metric in names.CLOCKS else names.METRIC_NAMES.get(target.metric)
        if name is None or target.priority not in ("", *names.PRIORITY_CODES):
            why = "measure this time" if name is None else "know this priority"
            book.add("targets", what, "untranslatable", f"Freshdesk does not {why}")
            continue
        if not own and not _clocked(book, writes, target, what):
            continue
        for priority in [target.priority] if target.priority else list(names.PRIORITY_CODES):
            into = times.setdefault(f"priority_{names.PRIORITY_CODES[priority]}", {})
            into |= {name: target.seconds, "business_hours": target.business}
    for priority in dict.fromkeys(target.priority for target in source.targets):
        if len({target.business for target in source.targets if target.priority == priority}) > 1:
            note = "a priority has one clock for all its times"
            book.add("targets", f"clocks of {priority or 'all'}", "approximated", note)
    if not own and times:
        _unpromised(book, times)
    for key, value in source.options if own else ():
        priority, _, switch = key.partition(".")
        if switch:
            times.setdefault(priority, {})[switch] = json.loads(value)
    return times


def _clocked(book: Notebook, writes: Conditions, target: Target, what: str) -> bool:
    """Note under which settings of the statuses' timers the time is the same; say whether there is room for it."""
    if target.metric not in names.CLOCKS:
        book.add("targets", what, "equivalent", "where a status's SLA timer is off, this clock stops too")
        return True
    clocks = {one.metric for one in book.rule.targets if one.metric in names.CLOCKS}
    if len(clocks) > 1 and target.metric != min(clocks, key=list(names.CLOCKS).index):
        book.add("targets", what, "untranslatable", "there is one clock for a whole ticket, and it is taken")
        return False
    runs = names.CLOCKS[target.metric]
    for word, called in (("pending", "Pending"), ("hold", names.ADDED_STATUSES["hold"][0])):
        if word == "hold" and word not in writes.apart:
            continue
        switched = "on" if word in runs else "off"
        book.need("SLA timer", f"{called}: {switched}", "a switch beside the status (Admin, Ticket fields, Status)")
        if word == "hold":
            added(book, word)
    merged = "hold" not in writes.apart and runs == ("hold",)
    note = "on hold is pending there, whose timer is off" if merged else "given the SLA timers of the statuses"
    book.add("targets", what, "approximated" if merged else "equivalent", note)
    return True


def _unpromised(book: Notebook, times: Native) -> None:
    """Fill in the times that a policy must have there and the old one does not promise."""
    lacking = []
    for word, code in names.PRIORITY_CODES.items():
        into = times.setdefault(f"priority_{code}", {"business_hours": False})
        for name in ("respond_within", "resolve_within"):
            if name not in into:
                into[name] = names.NO_PROMISE
                lacking.append(f"{word} {names.METRICS[name].replace('_', ' ')}")
        into["escalation_enabled"] = any(into.get(name, names.NO_PROMISE) != names.NO_PROMISE for name in names.METRICS)
    if lacking:
        note = f"nothing was promised; there a time must stand: the longest, {names.NO_PROMISE // 86400} days"
        book.add("targets", f"no times for {', '.join(lacking)}", "equivalent", note)
