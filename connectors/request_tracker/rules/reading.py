"""Scrips, as initialdata has them, read into our words: stock conditions and actions by name; Perl is for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from migrator.rules.conditions import All, Changed, Condition, Event, Is, Lit, Opaque, Ref, path
from migrator.rules.natives import compact, kept, unknown
from migrator.rules.rule import Action, Kind, Mail, Recipient, Rule, Unread, Verb
from migrator.rules.template import Said, Template, Var

from . import names

Native = dict[str, Any]
CODE = ("CustomIsApplicableCode", "CustomPrepareCode", "CustomCommitCode")
READ = {"Description", "ScripCondition", "ScripAction", "Queues", *names.OPTIONS, *CODE}
SEARCH = ("Scope", "Format", "OrderBy", "Order", "More")
PERL = "Perl code, which a person must read"


def rule(native: Mapping[str, Any], kind: Kind) -> Rule:
    """Return a scrip in our words, as initialdata has it or as a row of dump.pl; or a saved search."""
    if kind != "trigger":
        return search(native, kind)
    native = scrip(native) if "Condition" in native else native
    disabled = native.get("Disabled")
    known = {*READ, *names.BOOKKEEPING}
    return Rule(
        vendor="request_tracker",
        kind=kind,
        name=native.get("Description") or "",
        active=None if disabled is None else str(disabled) not in ("1", "True"),
        when=when(native),
        do=(action(native),),
        options=tuple((key, compact(native[key])) for key in names.OPTIONS if key in native),
        unknown=unknown(native, known),
        kept=kept(native, names.BOOKKEEPING),
    )


def search(native: Mapping[str, Any], kind: Kind) -> Rule:
    """Return a saved search, or the draft of a rule by the clock: what it asks is left in the vendor's own language."""
    text = native.get("Query") if kind == "view" else compact(native.get("Crontab"))
    beside = {key: native[key] for key in SEARCH if native.get(key) not in (None, "", "{}")}
    known = {"Name", "Query", "Crontab", *SEARCH, *names.OPTIONS, *names.BOOKKEEPING}
    return Rule(
        vendor="request_tracker",
        kind=kind,
        name=str(native.get("Name") or ""),
        when=Opaque(text=str(text or ""), why="TicketSQL, Request Tracker's own language of queries"),
        options=tuple((key, compact(held)) for key, held in beside.items())
        + tuple((key, compact(native[key])) for key in names.OPTIONS if key in native),
        unknown=unknown(native, known),
        kept=kept(native, names.BOOKKEEPING),
    )


def scrip(row: Mapping[str, Any]) -> Native:
    """Return a row of dump.pl as our writer would say it."""
    native = {"Description": row["Description"], "ScripCondition": row["Condition"], "ScripAction": row["Action"]}
    native |= {key: row[key] for key in ("Disabled", "Text", "To", *CODE) if row.get(key) not in (None, "", [])}
    if row.get("Stage") not in (None, "", "TransactionCreate"):
        native["Stage"] = row["Stage"]
    if row.get("Queues"):
        native["Queues"] = [str(one) for one in row["Queues"]]
    return native | ({} if "Text" in native else {"Template": row.get("Template")})


def when(native: Mapping[str, Any]) -> Condition:
    """Return the condition, within the queues a scrip is for."""
    asked = _asked(native)
    if not native.get("Queues"):
        return asked
    queues = Is(path=path("ticket.group"), values=tuple(Ref(kind="group", id=one) for one in native["Queues"]))
    return All(of=(queues, asked))


def _asked(native: Mapping[str, Any]) -> Condition:
    """Return the condition: a stock one by its name, the vendor's own word for others, Perl as it stands."""
    name, code = str(native.get("ScripCondition", "")), native.get("CustomIsApplicableCode")
    if code is not None:
        return Opaque(text=compact({"ScripCondition": name, "CustomIsApplicableCode": code}), why=PERL)
    if name in names.CHANGES:
        at, to = names.CHANGES[name]
        status = Lit(value=names.STATUSES[to]) if to in names.STATUSES else Ref(kind="status", id=to)
        return Changed(path=path(at), after=(status,) if to else None)
    if name in names.SAID:
        public = Is(path=path("comment.public"), values=(Lit(value=names.SAID[name]),))
        return All(of=(Event(kinds=("updated",)), public))
    return All() if name == names.ANYTHING else Event(kinds=(names.EVENTS.get(name, name),))


def action(native: Mapping[str, Any]) -> Action:
    """Return the action: mail to watchers, the vendor's own word for another, Perl as it stands."""
    name = str(native.get("ScripAction", ""))
    code = {key: native[key] for key in CODE[1:] if key in native}
    if code:
        return Unread(name=name, text=compact(code), why=PERL)
    if native.get("To"):
        to = tuple(recipient(str(one)) for one in native["To"])
        subject, body = mail(str(native.get("Text", "")))
        return Mail(to=to, subject=subject, body=body)
    auto = name.lower() == "autoreply to requestors"
    found = re.fullmatch(r"Notify (.+?)( As Comment| as Comment)?", name)
    if not (auto or found):
        return Verb(word=name)
    words = re.split(r", | And | and ", found.group(1)) if found and not auto else ["Requestors"]
    if not all(word in names.WATCHERS for word in words):
        return Verb(word=name)
    to = tuple(Recipient(who=names.WATCHERS[word]) for word in words)
    if "Text" in native:
        subject, body = mail(str(native["Text"]))
        options = (("name", compact(name)),) if name.lower().endswith("as comment") else ()
        return Mail(to=to, subject=subject, body=body, options=options)
    body = Template(parts=(Var(name=f"template {native.get('Template', '')}"),))
    return Mail(to=to, subject=Template(), body=body, options=(("name", compact(name)),))


def recipient(text: str) -> Recipient:
    """Return one of those whom a mail to people by name goes to: ``user 12``, ``queue 3``, ``all agents``."""
    what, _, id = text.partition(" ")
    known = {"user": "user", "queue": "group"}
    if text == names.ALL_AGENTS:
        return Recipient(who="all_agents")
    return Recipient(who=known[what], id=id) if what in known else Recipient(who=text)


def mail(text: str) -> tuple[Template, Template]:
    """Return subject and body of a template's text, whose head ends with an empty line."""
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    said = re.fullmatch(r"Subject: *(.*)", head)
    return (template(said[1]), template(body)) if said else (Template(), template(text))


def template(text: str) -> Template:
    """Return a text of a Perl template: words, and what stands between braces by what it means."""
    parts: list[Said | Var] = []
    words, at = "", 0
    while at < len(text):
        code = _code(text, at) if text[at] == "{" else ""
        if char := re.fullmatch(r"\{chr\((\d{1,6})\)\}", code):
            words += chr(int(char[1]))
        elif code:
            parts += [Said(text=words)] if words else []
            parts.append(Var(name=code, meaning=names.MEANINGS.get(code, "")))
            words = ""
        else:
            words += text[at]
        at += len(code) or 1
    return Template(parts=(*parts, Said(text=words)) if words else tuple(parts))


def _code(text: str, begins: int) -> str:
    """Return what stands between a brace and the one that closes it, both included; the rest where none does."""
    depth = 0
    for at in range(begins, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if not depth:
            return text[begins : at + 1]
    return text[begins:]
