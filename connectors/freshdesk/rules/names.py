"""Freshdesk's words for conditions, events, actions and placeholders, each with ours.

Sources: what a provider for Terraform found on a live account (automation_rule, sla_policy; 2026-08), the vendor's own
code as a public copy has it (Admin::AutomationConstants, Va::Observer, Va::Handlers; undated) and support.freshdesk.com
207276; most placeholders are assumed (facts.yaml).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from migrator.rules.natives import field_name
from migrator.rules.references import is_mark
from migrator.rules.rule import ClockPolicy, PassPolicy

TITLE = "Freshdesk"
NUMBERED = True
ONE_FORM = True  # which fields depend on others is said once for all forms
FIELD_PREFIX = "cf_"
OF_ACCOUNT = ("escalation",)  # options that name people of the account
ITS_OWN = ("is_default", "outdated")  # options in which the account speaks of itself
# A setting chooses between the first match and all matches for creation rules; read it before a rule set is judged.
POLICY = PassPolicy(order="position", visibility="current", changes="original", cascade="none")
# Once an hour, in their order, each seeing what an earlier one changed; only tickets updated in the last 30 days.
CLOCK = ClockPolicy(order="position", within_days=30)
CREATION, TIMED, UPDATE = 1, 3, 4  # rule_type

FIELDS: dict[tuple[str, str], str] = {  # (resource_type, field_name) to ours
    ("ticket", "status"): "ticket.status",
    ("ticket", "priority"): "ticket.priority",
    ("ticket", "ticket_type"): "ticket.type",
    ("ticket", "group_id"): "ticket.group",
    ("ticket", "responder_id"): "ticket.assignee",
    ("ticket", "source"): "ticket.channel",
    ("ticket", "product_id"): "ticket.brand",
    ("ticket", "subject"): "ticket.subject",
    ("ticket", "description"): "ticket.description",
    ("ticket", "subject_or_description"): "ticket.subject_or_description",
    ("ticket", "to_email"): "ticket.recipient",
    ("contact", "email"): "requester.email",
    ("contact", "language"): "requester.language",
    ("contact", "time_zone"): "requester.time_zone",
    ("contact", "id"): "ticket.requester",
    ("company", "id"): "ticket.organization",
    ("company", "name"): "organization.name",
}
PATHS = {ours: theirs for theirs, ours in FIELDS.items()}
REFERS = {
    "ticket.group": "group",
    "ticket.assignee": "user",
    "ticket.requester": "user",
    "ticket.organization": "organization",
    "ticket.brand": "brand",
    "requester.language": "locale",
}
# Statuses of the account's own, which get their numbers there: with them no two of ours become one. Tickets are moved
# into them by an overlay, since mappings/vendors/freshdesk.yaml makes new ones open and those on hold pending.
ADDED_STATUSES = {"new": ("New", "open"), "hold": ("On hold", "pending")}  # ours to (name, what it is without)
STATUSES = {"2": "open", "3": "pending", "4": "solved", "5": "closed"}
EVERYBODYS = tuple(STATUSES)  # numbers that every account has
STATUSES |= {f"<status:{name}>": ours for ours, (name, _) in ADDED_STATUSES.items()}
STATUS_CODES: dict[str, int | str] = {"open": 2, "pending": 3, "solved": 4, "closed": 5}
STATUS_CODES |= {ours: f"<status:{name}>" for ours, (name, _) in ADDED_STATUSES.items()}
STATUS_TABLE: dict[str | None, str | None] = {
    word: word for word in ("new", "open", "pending", "hold", "solved", "closed")
}
ALL_ADDED = frozenset(ADDED_STATUSES)


def status_table(apart: Collection[str]) -> dict[str | None, str | None]:
    """Return what statuses become where of the added ones only these are there."""
    merged = {ours: without for ours, (_, without) in ADDED_STATUSES.items() if ours not in apart}
    return {word: merged.get(str(word), becomes) for word, becomes in STATUS_TABLE.items()}


PRIORITIES = {"1": "low", "2": "normal", "3": "high", "4": "urgent"}
PRIORITY_CODES = {"low": 1, "normal": 2, "high": 3, "urgent": 4}
PRIORITY_TABLE: dict[str | None, str | None] = {  # a ticket has one always; without being told, low
    None: "low",
    "low": "low",
    "normal": "normal",
    "high": "high",
    "urgent": "urgent",
}
CHANNELS = {
    "1": "email",
    "2": "web",
    "3": "phone_inbound",
    "7": "chat",
    "9": "feedback",
    "10": "outbound_email",
    "13": "whatsapp",
}
CHANNEL_CODES = {word: int(code) for code, word in CHANNELS.items()}
TYPES = {"Question": "question", "Incident": "incident", "Problem": "problem", "Task": "task"}
TYPE_NAMES = {ours: theirs for theirs, ours in TYPES.items()}

PERFORMERS = {1: ("agent",), 2: ("end_user",), 3: ("agent", "end_user"), 4: ("system",)}
# The agent of the ticket is who acts (Va::Performer ASSIGNED_AGENT).
ASSIGNED_AGENT: dict[str, Any] = {"type": 1, "members": [-1]}
# Set off by whatever else an update rule can notice: messages, ratings, status, priority, type, group, agent, due date
# and custom choices (Va::Observer::Constants; Va::Observer::Util#filter_event). Not by tags, the subject, a free text.
UPDATED = {"field_name": "ticket_action", "value": "update"}
NOTICED = ("status", "priority", "type", "group", "assignee")
# Whom a rule's mail to an agent goes to, beside the number of one (Va::Action ASSIGNED_AGENT, EVENT_PERFORMER).
MAILED = {"assignee": 0, "current_user": -2}
# Channels by which each opens tickets.
OPENED = {
    "end_user": ("email", "web", "chat", "feedback", "whatsapp"),
    "agent": ("phone_inbound", "outbound_email"),
}
EVENTS = {"reply_sent": "replied", "note_type": "noted", "ticket_action": "ticket"}
# Time-triggered rules know neither tags nor texts, and of contacts and companies the name only.
UNTIMED = ("tag_names", "subject", "description", "subject_or_description", "to_email")
CUSTOM_HOURS = "hours_since_waiting_on_custom_status"
HOURS = {  # time-triggered rules
    "created_at": "created",
    "updated_at": "updated",
    "opened_at": "status:open",
    "pending_since": "status:pending",
    "resolved_at": "status:solved",
    "closed_at": "status:closed",
    "assigned_at": "assigned",
    "requester_responded_at": "requester_updated",
    "agent_responded_at": "assignee_updated",
    "due_by": "sla_breach",
}
ANCHORS = {ours: theirs for theirs, ours in HOURS.items() if theirs != "updated_at"}  # which they do not count
ORDERS = {"is": "eq", "greater_than": "gt", "less_than": "lt"}
ORDER_NAMES = {ours: theirs for theirs, ours in ORDERS.items()}
# Operator to (mode, negated). What is missing contains nothing and matches no operator, "does not" included.
TEXTS = {
    "contains": ("substring", False),
    "does_not_contain": ("substring", True),
    "starts_with": ("starts", False),
    "ends_with": ("ends", False),
}
METRICS = {"respond_within": "first_reply", "next_respond_within": "next_reply", "resolve_within": "resolution"}
METRIC_NAMES = {ours: theirs for theirs, ours in METRICS.items()}
# One clock for the whole of a ticket: it stops in statuses whose timer is off, and goes on when a ticket is reopened.
# Of each metric, the statuses beside new and open in which its clock runs.
CLOCKS = {"resolution": ("pending", "hold"), "requester_wait": ("hold",), "agent_work": ()}
APPLIES = {  # applicable_to to ours
    "company_ids": "ticket.organization",
    "group_ids": "ticket.group",
    "product_ids": "ticket.brand",
    "sources": "ticket.channel",
    "ticket_types": "ticket.type",
}
NO_PROMISE = 31_104_000  # seconds, 360 days: the longest time, where a policy promises nothing
# Fields that tickets get so that rules can ask for what others know of themselves: path to (field, what it holds).
HELPERS = {
    "ticket.form": ("cf_form", "which form it came through"),
    "ticket.came_by": ("cf_came_by", "through which channel it came, in the old desk's words"),
}
# Fields that automations fill anew with each update, before the rules that ask for them.
ACTED_BY, THE_AGENT, SOMEBODY_ELSE = "cf_acted_by", "the agent", "somebody else"
CHANGED, YES, NO = "cf_changed_", "yes", "no"
OPTIONS = {  # of such fields, and of those that keep a word of the old desk
    "cf_came_by": tuple(CHANNEL_CODES),
    ACTED_BY: (SOMEBODY_ELSE, THE_AGENT),
}
HELPER_PATHS = {name: ours for ours, (name, _) in HELPERS.items()}
APPLIED = {ours: theirs for theirs, ours in APPLIES.items()}
BOOKKEEPING = (
    "_source",
    "_unit",
    "created_at",
    "updated_at",
    "last_updated_by",
    "summary",
    "affected_tickets_count",
)

PLACEHOLDERS: dict[str, str] = {  # ours to theirs
    "ticket.number": "ticket.id",
    "ticket.subject": "ticket.subject",
    "ticket.description": "ticket.description",
    "ticket.status": "ticket.status",
    "ticket.priority": "ticket.priority",
    "ticket.type": "ticket.ticket_type",
    "ticket.channel": "ticket.source",
    "ticket.group": "ticket.group.name",
    "ticket.tags": "ticket.tags",
    "ticket.brand": "ticket.product.name",
    "account.name": "helpdesk_name",
    "ticket.link": "ticket.url",
    "ticket.due": "ticket.due_by_time",
    "requester.name": "ticket.requester.name",
    "requester.first_name": "ticket.requester.firstname",
    "requester.last_name": "ticket.requester.lastname",
    "requester.email": "ticket.requester.email",
    "requester.phone": "ticket.requester.phone",
    "organization.name": "ticket.company.name",
    "assignee.name": "ticket.agent.name",
    "assignee.email": "ticket.agent.email",
    "actor.name": "comment.commenter.name",
    "comment.latest": "comment.body",
    "comment.latest_html": "comment.body",
    "comment.latest_public": "ticket.latest_public_comment",
    "comment.latest_public_html": "ticket.latest_public_comment",
    "satisfaction.survey": "ticket.satisfaction_survey",
}
# Every public message, the newest first, and what the ticket began with: texts of rules are Liquid there
# (Va::Action substitute_placeholders, Helpdesk::TicketDrop public_comments, in which the first message is not).
THREAD = "{% for comment in ticket.public_comments reversed %}{{comment.commenter.name}}, {{comment.created_on}}<br>"
THREAD += "{{comment.body}}<hr>{% endfor %}"
THREAD += "{{ticket.requester.name}}, {{ticket.created_on}}<br>{{ticket.description}}<hr>"
MEANINGS = {theirs: ours for ours, theirs in reversed(PLACEHOLDERS.items())}


def placeholder(meaning: str) -> str | None:
    """Return Freshdesk's placeholder for a meaning, or None."""
    for prefix in ("ticket.cf:", "ticket.cf_label:"):
        if meaning.startswith(prefix) and is_mark(meaning.removeprefix(prefix)):
            return f"{{{{ticket.{meaning.removeprefix(prefix)}}}}}"
        if meaning.startswith(prefix):
            return f"{{{{ticket.{field_name(meaning.removeprefix(prefix))}}}}}"
    if meaning == "comments.public":
        return THREAD
    found = PLACEHOLDERS.get(meaning)
    return None if found is None else "{{" + found + "}}"
