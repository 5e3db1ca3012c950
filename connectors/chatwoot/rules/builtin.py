"""What Chatwoot tells people by itself, so that no rule is to do it: replies to contacts, assignments to agents."""

from __future__ import annotations

from migrator.rules.conditions import Actor, Changed, Elapsed, Event, Is, Leaf, leaves
from migrator.rules.notebook import Notebook
from migrator.rules.replies import tells_of_replies, unneeded, worded
from migrator.rules.rule import Mail, Rule, SetField
from migrator.rules.verdicts import Verdict

CLICK = "each agent: Profile Settings, Notifications"
REPLIES = "Chatwoot sends every public reply to the contact by itself, where the inbox has a channel that mails"
CLOSED = "closed is resolved there: nothing needs to be done, and what is resolved opens again when its contact writes"
ASSIGNED = "Chatwoot mails an agent by itself what is assigned to him, in its own words"
ASSIGNEE = "Chatwoot mails by itself: each agent ticks “a new message in an assigned conversation”, and others like it"
AGENTS = "Chatwoot mails by itself: each agent ticks “a new conversation is created”"


def by_itself(rule: Rule, book: Notebook) -> bool:
    """Say whether all that a rule does is done without it, and note that on each of its parts; else note nothing."""
    found = _known(rule)
    if found is None:
        return False
    unneeded(book, "Chatwoot", *found)
    return True


def _known(rule: Rule) -> tuple[Verdict, str] | None:
    """Return what Chatwoot does by itself of what this rule does, and how well; None where a rule is needed."""
    (action, *more) = rule.do or (None,)
    asked = leaves(rule.when)
    if more or not asked:
        return None
    if isinstance(action, SetField):
        closes = str(action.path) == "ticket.status" and getattr(action.value, "value", None) == "closed"
        return ("approximated", CLOSED) if closes and all(map(_of_solved, asked)) else None
    if not isinstance(action, Mail) or action.options:
        return None
    if tells_of_replies(rule):
        return ("approximated", f"{REPLIES}; in its own words") if worded(action.body) else ("equivalent", REPLIES)
    to = {one.who for one in action.to}
    assigned = [one for one in asked if isinstance(one, Changed) and str(one.path) == "ticket.assignee"]
    if to != {"assignee"} or not assigned or any(one.negated or one.before or one.after for one in assigned):
        return None
    known = all(isinstance(one, Event) or one in assigned or _of_assignee(one) for one in asked)
    return ("approximated", ASSIGNED) if known else None


def _of_solved(leaf: Leaf) -> bool:
    """Say whether a condition asks that a ticket is solved, and for how long, and no more."""
    if isinstance(leaf, Elapsed):
        return leaf.anchor == "status:solved"
    solved = isinstance(leaf, Is) and str(leaf.path) == "ticket.status" and not leaf.negated
    return solved and [getattr(one, "value", None) for one in getattr(leaf, "values", ())] == ["solved"]


def _of_assignee(leaf: Leaf) -> bool:
    """Say whether a condition asks that the assignee is not the one who acts, and no more."""
    acting = isinstance(leaf, Is) and any(isinstance(one, Actor) and one.who == "current_user" for one in leaf.values)
    return acting and str(getattr(leaf, "path", "")) == "ticket.assignee" and bool(getattr(leaf, "negated", False))


def told(mail: Mail) -> str:
    """Return how agents are told of it by Chatwoot itself, if each of them wants to be; empty where they are not."""
    to = {one.who for one in mail.to}
    return ASSIGNEE if to == {"assignee"} else AGENTS if to == {"all_agents"} else ""
