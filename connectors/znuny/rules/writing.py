"""Our rules written as jobs of the GenericAgent: one asks with an AND of lists and times, an OR becomes several."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from migrator.rules.conditions import Elapsed, Is, Leaf, Lit, Opaque, Ref, Value
from migrator.rules.normal_forms import TooLargeError, dnf
from migrator.rules.notebook import Notebook
from migrator.rules.rule import Action, Comment, Rule, SetField, Unread
from migrator.rules.template import Said, Template
from migrator.rules.verdicts import Translation, Verdict

from . import names

Native = dict[str, Any]
CLICK = "Admin, Process Automation, Generic Agent"
WHY = {
    "trigger": "jobs with events ask for what a ticket is, not for what an update changed: write an event handler",
    "sla": "SLAs belong to services there: Admin, Ticket Settings, Service Level Agreements",
    "view": "each agent keeps searches of their own there (Tickets, Search, Save as template)",
    "macro": "there are no macros; templates hold texts: Admin, Ticket Settings, Templates",
    "schedule": "working hours are in the configuration (TimeWorkingHours)",
}


def rule(source: Rule, *, apart: Collection[str] = tuple(names.ADDED_STATUSES)) -> Translation:
    """Return the rule as jobs; a job of Znuny's own comes back as it was. ``apart``: added states that are there."""
    book = Notebook(source, "znuny", click=CLICK)
    own = source.vendor == "znuny"
    if source.kind != "timed":
        book.add("rule", source.name, "untranslatable", WHY[source.kind])
        return book.done()
    if not own:
        for key, held in source.options:
            book.add("rule", f"{key}: {held}", "approximated", "a setting of the old vendor")
        for what in (text for text in (source.description, source.category) if text):
            book.add("rule", f"the description “{what}”", "equivalent", "a job has a name only")
    try:
        choices = dnf(source.when)
    except TooLargeError as err:
        book.add("when", "the whole condition", "untranslatable", f"an OR of too many alternatives: {err}")
        return book.done()
    done = _done(book, apart, own=own)
    made = [_job(book, choice, apart, own=own) for choice in choices]
    book.split(len(made))
    called = _ordered(book)
    jobs = [
        {"Name": called if not at else f"{called} ({at + 1})", **asked, **done}
        for at, asked in enumerate(job for job in made if job is not None)
    ]
    if own:
        back = {key: json.loads(held) for key, held in (*source.options, *source.unknown, *source.kept)}
        valid = {} if source.active is None else {"Valid": "1" if source.active else "0"}
        return book.done(*({**job, **valid, **back} for job in jobs))
    half = any(one.verdict == "untranslatable" for one in book.findings)  # a draft, which would take more tickets
    valid = {"Valid": "0" if half or source.active is False else "1"}
    return book.done(*({**job, **valid, **names.EVERY_HOUR} for job in jobs))


def _ordered(book: Notebook) -> str:
    """Return the name; where jobs run in an order, it stands in the name."""
    source = book.rule
    if source.position is None or source.vendor == "znuny":
        return source.name
    book.add("rule", f"position {source.position}", "equivalent", "Znuny runs jobs in the order of their names")
    return f"{source.position:03d} {source.name}"


def _job(book: Notebook, leaves: tuple[Leaf, ...], apart: Collection[str], *, own: bool) -> Native | None:
    """Return what one job asks, or None where it could ask for nothing of it: a job takes every ticket then."""
    job: Native = {}
    for leaf in leaves:
        made, verdict, note = _leaf(book, leaf, apart, own=own)
        if any(key in job and not _both(job[key], made[key]) for key in made):
            made, verdict, note = {}, "untranslatable", "a job asks for it once only"
        book.leaf(leaf, verdict, note)
        for key, held in made.items():
            job[key] = _both(job[key], held) if key in job else held
    if not job:
        book.add("when", "the whole condition", "untranslatable", "a job that asks for nothing does not run")
        return None
    return _pointed(job)


def _both(one: Any, other: Any) -> list[str]:
    """Return what two lists have in common; two times have nothing."""
    return [each for each in one if each in other] if isinstance(one, list) else []


def _leaf(book: Notebook, leaf: Leaf, apart: Collection[str], *, own: bool) -> tuple[Native, Verdict, str]:
    if isinstance(leaf, Elapsed):
        return _elapsed(leaf)
    if isinstance(leaf, Opaque) and own and not leaf.negated:
        return json.loads(leaf.text), "exact", ""
    at = str(getattr(leaf, "path", ""))
    if not isinstance(leaf, Is) or at not in names.LISTS:
        return {}, "untranslatable", "a job of the Generic Agent does not ask for this"
    verdict: Verdict = "exact"
    note = ""
    tables = {"ticket.status": names.statuses(apart), "ticket.priority": names.PRIORITY_TABLE}
    if at in tables and not own:
        leaf, verdict, note = book.image(leaf, tables[at], at.partition(".")[2])
        if verdict == "untranslatable":
            return {}, verdict, note
        if at == "ticket.status" and (added := _added(book, leaf, apart)):
            verdict = verdict if verdict == "approximated" else "equivalent"
            note = "; ".join(filter(None, (note, added)))
    elif leaf.negated or leaf.null:
        return {}, "untranslatable", "a job asks which of a list it is, never which it is not"
    key, word, _ = names.LISTS[at]
    listed = [_named(word, one) for one in leaf.values]
    if not listed or None in listed:
        return {}, "untranslatable", "a job asks for none of these"
    return {key: listed}, verdict, note


def _added(book: Notebook, leaf: Is, apart: Collection[str]) -> str:
    """Note the states that are added, where a condition tells them from those they would be without."""
    words = {getattr(one, "value", "") for one in leaf.values}
    said = []
    for ours, (name, without) in names.ADDED_STATUSES.items():
        if ours in apart and words & {ours, without}:
            because = f"a state of its own, apart from {names.STATE_NAMES[without]}; move tickets into it: "
            book.need("status", name, f"{because}overlay.znuny.ticket.status")
            said.append(f"the state “{name}” is added there and tickets are moved into it")
    return "given " + " and ".join(said) if said else ""


def _named(word: str, one: Value | None) -> str | None:
    """Return a value as a job names it, or None where it has no such."""
    if isinstance(one, Lit):
        name = names.WORD_NAMES.get(word, {}).get(str(one.value))
        return name and f"<{word}:{name}>"
    if not isinstance(one, Ref):
        return None
    return one.id if word in names.WORDS or one.id.startswith("<") else f"<{word}:{one.id}>"


def _elapsed(leaf: Elapsed) -> tuple[Native, Verdict, str]:
    """Return a time as the search has it: more than so many minutes ago, or within as many."""
    if leaf.anchor not in names.ANCHORS or leaf.clock != "calendar" or leaf.null or leaf.op == "ne" or leaf.hours < 0:
        return {}, "untranslatable", "a job knows when a ticket was made, changed and closed, on the calendar's clock"
    begins = names.ANCHORS[leaf.anchor][0]
    minutes = round(leaf.hours * 60)
    older, newer = f"{begins}TimeOlderMinutes", f"{begins}TimeNewerMinutes"
    if leaf.op == "eq":
        note = "the page of the job does not show these minutes: it has room for one bound"
        return {older: str(minutes), newer: str(minutes + 60)}, "equivalent", note
    key = older if leaf.op in ("gt", "ge") else newer
    return {key: str(minutes)}, "exact" if leaf.hours * 60 == minutes else "equivalent", ""


def _pointed(job: Native) -> Native:
    """Return the job with each time that has one bound as its page shows it."""
    for begins, asked in names.ANCHORS.values():
        bounds = {way: f"{begins}Time{bound}Minutes" for way, bound in (("Before", "Older"), ("Last", "Newer"))}
        there = [(way, key) for way, key in bounds.items() if key in job]
        if len(there) != 1:
            continue
        ((way, key),) = there
        minutes = int(job.pop(key))
        number, unit = (minutes // 60, "hour") if minutes % 60 == 0 else (minutes, "minute")
        point = {"": str(number), "Format": unit, "Start": way}
        job |= {asked: "TimePoint", **{f"{begins}TimePoint{ending}": held for ending, held in point.items()}}
    return job


def _done(book: Notebook, apart: Collection[str], *, own: bool) -> Native:
    """Return what a job does; each thing once."""
    job: Native = {}
    for at, action in enumerate(book.rule.do):
        made, verdict, note = _action(action, book, apart, own=own)
        if made.keys() & job.keys():
            made, verdict, note = {}, "untranslatable", "a job does it once only"
        book.action(at, verdict, note)
        job |= made
    return job


def _action(action: Action, book: Notebook, apart: Collection[str], *, own: bool) -> tuple[Native, Verdict, str]:
    if isinstance(action, SetField) and str(action.path) in names.SETS:
        return _set(book, action, apart, own=own)
    if isinstance(action, SetField) and str(action.path) == "comment.public":
        return {}, "exact", ""  # the note beside it says whether it is
    if isinstance(action, Unread) and own:
        return json.loads(action.text), "exact", ""
    if isinstance(action, Comment) and (own or not action.public):
        return _note(action)
    return {}, "untranslatable", "no job does this by itself: write a module for the Generic Agent"


def _set(book: Notebook, action: SetField, apart: Collection[str], *, own: bool) -> tuple[Native, Verdict, str]:
    ours = str(action.path)
    held, verdict, note = action.value, "exact", ""
    tables = {"ticket.status": names.statuses(apart), "ticket.priority": names.PRIORITY_TABLE}
    if ours in tables and not own:
        word, verdict, note = book.unset(ours, getattr(held, "value", None), tables[ours])
        held = Lit(value=str(word))
        if ours == "ticket.status" and word in apart:
            verdict, note = "equivalent", _added(book, Is(path=action.path, values=(held,)), apart)
    named = _named(names.LISTS[ours][1], held)
    if named is None or verdict == "untranslatable":
        return {}, "untranslatable", f"a job cannot set {ours} so"
    return {names.SETS[ours]: named}, verdict, note  # type: ignore[return-value]


def _note(action: Comment) -> tuple[Native, Verdict, str]:
    text, subject = _plain(action.body), _plain(action.subject) if action.subject else ""
    if text is None or subject is None:
        return {}, "untranslatable", "its placeholders have no counterpart in a job's note"
    if max(len(text), len(subject)) > names.MOST_LETTERS:
        return {}, "untranslatable", f"a job's note has {names.MOST_LETTERS} letters at most; write a module for more"
    made = {"NewNoteBody": text, **({"NewNoteSubject": subject} if action.subject else {})}
    return made | ({"NewNoteIsVisibleForCustomer": "1"} if action.public else {}), "exact", ""


def _plain(text: Template) -> str | None:
    """Return a text without placeholders; None where it has some, or would have some there."""
    if not all(isinstance(part, Said) for part in text.parts):
        return None
    plain = "".join(part.text for part in text.parts if isinstance(part, Said))
    return None if "<OTRS_" in plain.upper() or not plain.strip() else plain
