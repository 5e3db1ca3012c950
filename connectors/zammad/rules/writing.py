"""Our rules written as Zammad's: triggers, jobs, macros, overviews and SLAs."""

from __future__ import annotations

import json
from typing import Any

from migrator.rules import template
from migrator.rules.conditions import Actor, Days, Lit, Path, leaves, path
from migrator.rules.notebook import Notebook
from migrator.rules.placeholders import escaped, translated
from migrator.rules.replies import tells_of_replies
from migrator.rules.rule import Action, Comment, Follow, Hook, Mail, Rule, SetField, SetTags, Unread, Verb
from migrator.rules.verdicts import Translation, Verdict

from . import names
from .conditions import Conditions
from .hiding import write as conditions_of_a_form
from .hours import calendar, ordered, slas

Native = dict[str, Any]
CLICKS = {"trigger": "Trigger", "timed": "Scheduler", "macro": "Macros", "view": "Overviews", "sla": "SLAs"}
CLICKS |= {"schedule": "Calendars", "form": "Core Workflows"}
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# Automations of others run once an hour; so does the job, at the full hour.
HOURLY = {
    "days": dict.fromkeys(DAYS, True),
    "hours": {str(hour): True for hour in range(24)},
    "minutes": {str(minute): minute == 0 for minute in range(0, 60, 10)},
}
ALL_AGENTS = "All agents"


def rule(source: Rule) -> Translation:
    """Return the rule as Zammad's API takes it; a rule of Zammad's own comes back as it was."""
    own = source.vendor == "zammad"
    book = Notebook(source, "zammad", click=f"Settings, Manage, {CLICKS[source.kind]}")
    if source.kind == "form":
        return book.done(*conditions_of_a_form(book, source))
    if not own and source.kind == "trigger" and tells_of_replies(source):
        note = "an agent's e-mail goes to the customer, and to whom it names, by itself; this mail comes besides"
        book.add("do 1", "the mail of the reply itself", "equivalent", note)
    expert = ("condition_format", '"expert"') in source.kept
    writes = Conditions(book, own=own)
    performs = Performs(book, writes, own=own)
    if source.kind == "schedule":
        return calendar(book)
    if source.kind == "sla" and not own:
        return slas(book, writes)
    more: list[Native] = []
    body: Native = {"name": source.name if own else ordered(book)}
    if source.description:
        body["note"] = source.description
    if source.active is not None:
        body["active"] = source.active
    if source.kind != "macro":
        body["condition"] = writes.whole(source.when, expert=expert)
    if source.kind not in ("view", "sla"):
        body["perform"], *more = performs.all()
    if source.kind == "macro" and not own and not body["perform"] and ("text_module", source.name) in book.needs:
        book.add("rule", source.name, "equivalent", "its reply is a text module, and nothing is left for a macro to do")
        return book.done()
    if source.view:
        body |= _overview(book, own=own)
    if own:
        body |= {key: json.loads(value) for key, value in (*source.options, *source.kept, *source.unknown)}
        body.pop("condition_format", None)
        body |= {key: t.seconds // 60 for t in source.targets for key in (names.METRIC_NAMES[t.metric],)}
        return book.done(_audience(source, body) if source.kind == "view" else body)
    for key, value in source.options:
        book.add("rule", f"{key}: {value}", "approximated", "a setting of the old vendor")
    if source.kind == "trigger":
        body |= {"activator": "action", "execution_condition_mode": "always"}
    if source.kind == "timed":
        body |= {"timeplan": HOURLY, "disable_notification": True, "object": "Ticket"}
        book.add("rule", "once an hour", "equivalent", "at the full hour; Zammad takes at most 2,000 tickets a run")
    if source.kind == "macro" and source.position is not None:
        book.add("rule", f"position {source.position}", "equivalent", "macros are listed by name there")
    for one in source.audience if source.kind == "macro" else ():
        if one.kind == "group":
            body.setdefault("group_ids", []).append(f"<group:{one.id}>")
            book.add("rule", f"for group {one.id}", "exact")
        else:
            book.add("rule", f"for {one.kind} {one.id}", "approximated", "macros there are for groups or for all")
    again = [{**body, "name": f"{body['name']} ({at})", "perform": each} for at, each in enumerate(more, 2)]
    return book.done(body, *again)


def _audience(source: Rule, body: Native) -> Native:
    """Put back who an overview is for."""
    for kind, key in (("role_id", "role_ids"), ("user", "user_ids")):
        if some := [one.id for one in source.audience if one.kind == kind]:
            body[key] = [one if kind == "user" or one.isdecimal() else f"<role:{one}>" for one in some]
    for one in source.audience:
        if one.kind == "role":
            body["role"] = one.id
    return body


def _overview(book: Notebook, *, own: bool) -> Native:
    source, view = book.rule, book.rule.view
    assert view is not None

    def column(name: str, what: str) -> str:
        found = names.COLUMN_NAMES.get(name)
        if found or own or not name:
            return found or name
        book.add("rule", f"{what} {name}", "approximated", "no such column there; left out")
        return ""

    shown = [each for one in view.columns if (each := column(one, "the column"))]
    body: Native = {"view": {"s": shown, **{key[5:]: json.loads(value) for key, value in view.options}}}
    if view.sort_by and (by := column(view.sort_by, "sorted by")):
        body["order"] = {"by": by, "direction": view.sort_order.upper()}
    if view.group_by and (by := column(view.group_by, "grouped by")):
        body |= {"group_by": by, "group_direction": view.group_order.upper()}
    if own:
        return body
    body.setdefault("order", {"by": "created_at", "direction": "DESC"})
    body["view"]["view_mode_default"] = "s"
    body |= {"prio": source.position or 0, "role_ids": ["<role:Agent>"]}
    for one in source.audience:
        if one.kind == "user":
            body.setdefault("user_ids", []).append(f"<user:{one.id}>")
        note = "overviews are for roles and people" if one.kind != "user" else ""
        book.add("rule", f"for {one.kind} {one.id}", "approximated" if note else "exact", note)
    if source.description:
        book.add("rule", "the description", "equivalent", "agents do not see it there")
    return body


class Performs:
    """Writes the actions of one rule."""

    def __init__(self, book: Notebook, writes: Conditions, *, own: bool) -> None:
        self.book, self.writes, self.own = book, writes, own

    def all(self) -> list[Native]:
        """Return ``perform``, in which a key may stand once; what comes twice goes into a further rule's."""
        performs: list[Native] = [{}]
        for at, action in enumerate(self.book.rule.do):
            for key, value in self._one(at, action).items():
                place = next((one for one in performs if key not in one or one[key] == value), None)
                if place is None:
                    performs.append(place := {})
                    self._again(at)
                place[key] = value
        return performs

    def _again(self, at: int) -> None:
        """Note that a second rule does the rest: it must still find its condition true after the first."""
        paths = {str(getattr(leaf, "path", "tags")) for leaf in leaves(self.book.rule.when)}
        set_before = {str(one.path) for one in self.book.rule.do if isinstance(one, SetField)}
        set_before |= {"tags" for one in self.book.rule.do if isinstance(one, SetTags)}
        if paths & set_before:
            self.book.action(at, "approximated", "a second rule does this, whose condition the first one changes")
        else:
            self.book.action(at, "equivalent", "a second rule with the same condition does this")

    def text(self, at: int, body: template.Template) -> str:
        """Return a text in Zammad's placeholders, as HTML."""
        if self.own:
            return template.write(body, template.HASHES)
        said = str if body.html else escaped
        return translated(self.book, at, body, self._placeholder, said=said)

    def _placeholder(self, meaning: str) -> str | None:
        """Return the placeholder of a meaning; a thread of comments is a field that a trigger fills."""
        name = names.THREADS.get(meaning)
        if name is None:
            return names.placeholder(meaning)
        self.book.need("attribute", name, f"a text of up to {names.LONGEST:,} characters; moved with the tickets")
        asked: list[Native] = [{"name": "article.action", "operator": "is", "value": "create"}]
        if meaning == "comments.public":
            asked.append({"name": "article.internal", "operator": "is", "value": "false"})
        fills = {name: {"value": f"{names.ENTRY}#{{{name}}}"}}
        native = {"name": f"000 {name.removeprefix('ticket.')}", "perform": fills, "active": False}
        native["condition"] = {"operator": "AND", "conditions": asked}
        self.book.need("trigger", str(native["name"]), f"puts each new article in front of {name}", native)
        return f"#{{{name}}}"

    def subject(self, at: int, body: template.Template) -> str:
        """Return a subject, which is plain text."""
        return template.write(body, template.HASHES) if self.own else translated(self.book, at, body, names.placeholder)

    def _one(self, at: int, action: Action) -> Native:
        book = self.book
        if isinstance(action, SetField):
            return self._set(at, action)
        if isinstance(action, SetTags):
            return self._tags(at, action)
        if isinstance(action, Mail):
            return self._mail(at, action)
        if isinstance(action, Comment):
            return self._comment(at, action)
        if isinstance(action, Hook):
            note = "address, secrets and body are entered at the webhook again" if not self.own else ""
            book.action(at, "equivalent" if note else "exact", note)
            name = action.target.removeprefix("webhook:")
            if not self.own:
                book.need("webhook", name, "it is called by this rule")
            id = name if self.own and name.isdigit() else f"<webhook:{name}>"
            return {"notification.webhook": {"webhook_id": id}}
        if isinstance(action, Follow):
            return self._follow(at, action)
        if isinstance(action, Verb) and action.word == "delete":
            book.action(at, "exact")
            return {"ticket.action": {"value": "delete"}}
        if isinstance(action, Unread) and self.own:
            book.action(at, "exact")
            return {action.name: json.loads(action.text)}
        book.action(at, "untranslatable", getattr(action, "why", "Zammad has no such action"))
        return {}

    def _set(self, at: int, action: SetField) -> Native:
        book, ours, value = self.book, str(action.path), action.value
        if ours == "comment.public":
            book.action(at, "exact", "goes with the comment")
            return {}
        if isinstance(value, Days) and not action.path.custom:
            name: str | None = names.ANCHOR_NAMES.get(action.path.name, f"ticket.{action.path.name}")
        else:
            name = self.writes.attribute(action.path)
        if name is None or not name.startswith("ticket."):
            book.action(at, "untranslatable", f"Zammad cannot set {ours}")
            return {}
        if isinstance(value, Days):
            book.action(at, "exact" if self.own else "equivalent", "" if self.own else "given the field is there")
            return {name: {"operator": "relative", **_amount(value.days)}}
        if isinstance(value, Actor):
            book.action(at, "exact" if value.who == "current_user" else "untranslatable", "")
            return {name: {"pre_condition": "current_user.id", "value": ""}}
        if not self.own and ours in ("ticket.status", "ticket.priority"):
            return self._named(at, action.path, name, getattr(value, "value", None))
        person = ours in names.PEOPLE or ours == "ticket.organization"
        if value is None:
            book.action(at, "exact")
            return {name: {"pre_condition": "not_set", "value": ""} if person else {"value": ""}}
        held = self.writes.value(action.path, value)
        if held is None:
            book.action(at, "untranslatable", "there is no such value there")
            return {}
        helper = not self.own and (bool(action.path.custom) or ours in names.HELPERS)
        book.action(at, "equivalent" if helper else "exact", "given the field is there" if helper else "")
        return {name: {"pre_condition": "specific", "value": held} if person and not self.own else {"value": held}}

    def _named(self, at: int, of: Path, name: str, word: str | None) -> Native:
        """Set a status or a priority; a waiting state wants the date of its reminder."""
        table = names.STATUS_TABLE if of.name == "status" else names.PRIORITY_TABLE
        becomes, verdict, note = self.book.unset(str(of), word, table)
        if verdict == "untranslatable":
            self.book.action(at, verdict, note)
            return {}
        native = {name: {"value": self.writes.value(of, Lit(value=str(becomes)))}}
        if word in ("pending", "hold"):
            native["ticket.pending_time"] = {"operator": "relative", "value": "1", "range": "year"}
            verdict, note = "equivalent", "Zammad wants the date of a reminder: one year later"
        self.book.action(at, verdict, note)
        return native

    def _tags(self, at: int, action: SetTags) -> Native:
        if action.how == "replace":
            self.book.action(at, "untranslatable", "tags can be added and removed there, not replaced")
            return {}
        self.book.action(at, "exact")
        return {"ticket.tags": {"operator": action.how, "value": ", ".join(action.tags)}}

    def _mail(self, at: int, action: Mail) -> Native:
        to, lost = [], []
        for one in action.to:
            if one.who == "user":
                to.append(f"userid_{one.id}" if self.own else f"userid_<user:{one.id}>")
            elif one.who in names.RECIPIENT_NAMES or self.own:
                to.append(names.RECIPIENT_NAMES.get(one.who, one.who))
            else:
                lost.append(one.who.replace("_", " "))
        loose = not self.own and any(one.who == "all_agents" for one in action.to)
        if loose:
            self.book.need("role", ALL_AGENTS, "with full access to every group, for agents who saw all tickets")
        if not to:
            self.book.action(at, "untranslatable", f"Zammad cannot mail {', '.join(lost)}")
            return {}
        note = f"not sent to: {', '.join(lost)}" if lost else ""
        verdict: Verdict = "approximated" if note else "exact" if self.own else "equivalent"
        given = "sent only where the group has an address"
        given += ", to who has full access to it: given a role for all agents" if loose else ""
        self.book.action(at, verdict, note or ("" if self.own else given))
        options = {key: json.loads(value) for key, value in action.options}
        body = {"recipient": to[0] if len(to) == 1 else to, "subject": self.subject(at, action.subject)}
        body["body"] = self.text(at, action.body)
        for key, filler in (("subject", "#{ticket.title}"), ("body", "#{ticket.title}")):
            if not self.own and not str(body[key]).strip():  # verify_perform_rules_validator.rb
                body[key] = filler
                self.book.action(
                    at, "approximated", f"Zammad sends no mail without a {key}: the ticket's title stands there"
                )
        return {"notification.email": {**body, **options}}

    def _module(self, at: int, action: Comment) -> Native:
        """Put a macro's reply into a text module: the agent puts it in and sends it off with the macro.

        Choosing a macro beside Update sends what was written and does what the macro does (ticket_zoom.coffee).
        """
        body = translated(self.book, at, action.body, self._of_writer, said=str if action.body.html else escaped)
        name = self.book.rule.name
        self.book.need("text_module", name, "the reply's text (:: and its name)", {"name": name, "content": body})
        note = "the agent puts in the text module of the same name and chooses the macro beside Update: two steps again"
        self.book.action(at, "equivalent", note)
        return {}

    @staticmethod
    def _of_writer(meaning: str) -> str | None:
        if meaning.startswith(("comments.", "comment.")):
            return None  # threads are fields that triggers fill, of which text modules know nothing
        return names.WRITER.get(meaning) or names.placeholder(meaning)

    def _comment(self, at: int, action: Comment) -> Native:
        book = self.book
        note: Native = {"body": self.text(at, action.body), "internal": "false" if action.public else "true"}
        if action.subject:
            note["subject"] = self.subject(at, action.subject)
        elif not self.own:
            note["subject"] = names.NOTE_SUBJECT
        if book.rule.kind == "macro" and action.public and not self.own:
            return self._module(at, action)
        if (
            book.rule.kind == "macro"
            and not self.own
            and any(isinstance(one, template.Var) for one in action.body.parts)
        ):
            # manage/macros/how-do-they-work.rst: no variables in macros, unlike triggers
            book.action(
                at, "approximated", "a macro fills in no placeholders there: they stand in the note as they are"
            )
            return {"article.note": note}
        public = action.public and not self.own
        why = "a public note, which mails nobody by itself" if public else ""
        book.action(at, "equivalent" if public else "exact", why)
        return {"article.note": note}

    def _follow(self, at: int, action: Follow) -> Native:
        if isinstance(action.who, Actor):
            native: Native = {"pre_condition": "current_user.id", "value": ""}
        else:
            native = {"pre_condition": "specific", "value": self.writes.value(path("ticket.followers"), action.who)}
        loose = action.how == "cc"
        why = "follows inside the desk, gets no copies" if loose else ""
        self.book.action(at, "approximated" if loose else "exact", why)
        return {"ticket.subscribe": native}


def _amount(days: float) -> Native:
    """Return days in the largest unit that is whole."""
    minutes = round(days * 1440)
    for unit, size in (("year", 525600), ("day", 1440), ("hour", 60)):
        if minutes and minutes % size == 0:
            return {"value": str(minutes // size), "range": unit}
    return {"value": str(minutes), "range": "minute"}
