"""Rules that tell the requester of public replies: where a vendor mails replies by itself, none may be needed."""

from __future__ import annotations

from migrator.rules.conditions import Actor, Event, Is, Leaf, leaves
from migrator.rules.notebook import Notebook
from migrator.rules.rule import Mail, Rule
from migrator.rules.template import Said, Template
from migrator.rules.verdicts import Verdict


def tells_of_replies(rule: Rule) -> bool:
    """Say whether a rule mails a public comment to the requester, or to those in copy too, and asks for no more."""
    asked = leaves(rule.when)
    heard = any(isinstance(one, Is) and str(one.path) == "comment.public" and not one.null for one in asked)
    if len(rule.do) != 1 or not heard or not all(isinstance(one, Event) or _of_reply(one) for one in asked):
        return False
    (action,) = rule.do
    to = {one.who for one in action.to} if isinstance(action, Mail) and not action.options else set()
    return "requester" in to and to <= {"requester", "ccs"} and isinstance(action, Mail) and _replies(action.body)


def unneeded(book: Notebook, vendor: str, verdict: Verdict, note: str) -> None:
    """Note of every part of a rule that the vendor does what it does by itself, and how well."""
    rule = book.rule
    for what in filter(None, (rule.description, f"position {rule.position}" if rule.position is not None else "")):
        book.add("rule", what, "equivalent", "no rule is needed for it")
    for key, value in rule.options:
        book.add("rule", f"{key}: {value}", "approximated", "a setting of the old vendor")
    for leaf in leaves(rule.when):
        book.leaf(leaf, "equivalent", f"as {vendor} asks by itself")
    book.add("rule", rule.name, verdict, note)
    for at in range(len(rule.do)):
        book.action(at, verdict, note)


def worded(text: Template) -> bool:
    """Say whether a text has words of its own beside what its placeholders print."""
    return any(isinstance(part, Said) and part.text.strip() for part in text.parts)


def _of_reply(leaf: Leaf) -> bool:
    """Say whether a condition asks for a public word of somebody else than the requester, and no more."""
    if not isinstance(leaf, Is):
        return False
    if str(leaf.path) == "comment.public":
        public = all(getattr(one, "value", None) in (True, "requester_sees") for one in leaf.values)
        return bool(leaf.values) and public and not leaf.negated
    acting = any(isinstance(one, Actor) and one.who == "current_user" for one in leaf.values)
    return str(leaf.path) == "ticket.requester" and leaf.negated and acting


def _replies(text: Template) -> bool:
    return any(getattr(part, "meaning", "").startswith(("comment.", "comments.")) for part in text.parts)
