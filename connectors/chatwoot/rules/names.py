"""Chatwoot's words for conditions, actions and placeholders, each with ours.

Sources: conditions_filter_service.rb, filter_keys.yml and the specs of chatwoot/chatwoot, as gathered in the project's
vendor facts (2026-11); the stored copies mix versions, so that keys and events are to be checked on the one deployed.
"""

from __future__ import annotations

import re

from migrator.rules.natives import field_name
from migrator.rules.rule import PassPolicy

TITLE = "Chatwoot"
# All active rules of the event, by id in practice; what they change sets off no rule; reloaded between actions.
POLICY = PassPolicy(order="none", visibility="current", changes="original", cascade="none")

NUMBERED = True  # teams, agents and policies stand in rules as numbers
SET_OFF_APART = True  # the event stands beside the conditions
ITS_OWN = ("visibility",)  # whether a macro is everybody's: a record keeps that as its switch
AGENT = "agent:"  # before an agent's number in records, since contacts have the same numbers

EVENTS = {
    "conversation_created": "created",
    "conversation_updated": "updated",
    "message_created": "commented",
}
STATUS_EVENTS = {"conversation_resolved": "solved", "conversation_opened": "open"}  # a change to that status
STATUS_EVENT_NAMES = {ours: theirs for theirs, ours in STATUS_EVENTS.items()}
EVENT_NAMES = {ours: theirs for theirs, ours in EVENTS.items()}
ATTRIBUTES = {  # theirs to ours
    "status": "ticket.status",
    "priority": "ticket.priority",
    "team_id": "ticket.group",
    "assignee_id": "ticket.assignee",
    "inbox_id": "ticket.inbox",
    "display_id": "ticket.number",
    "campaign_id": "ticket.campaign",
    "mail_subject": "ticket.subject",
    "browser_language": "ticket.browser_language",
    "conversation_language": "ticket.language",
    "referer": "ticket.referer",
    "name": "requester.name",
    "email": "requester.email",
    "phone_number": "requester.phone",
    "identifier": "requester.external_id",
    "country_code": "requester.country",
    "city": "requester.city",
    "company": "organization.name",
    "blocked": "requester.blocked",
    "message_type": "comment.direction",
    "content": "comment.body",
    "private_note": "comment.public",
}
PATHS = {ours: theirs for theirs, ours in ATTRIBUTES.items()}
PRESENCE = ("assignee_id", "team_id", "inbox_id", "campaign_id")  # may be asked whether they are there
MODELS = {"contact_attribute": "requester", "conversation_attribute": "ticket"}
MODEL_NAMES = {ours: theirs for theirs, ours in MODELS.items()}
REFERS = {"ticket.group": "team", "ticket.assignee": "agent", "ticket.inbox": "inbox", "ticket.campaign": "campaign"}
REFERS |= {"ticket.sla_policy": "sla_policy", "ticket.files": "file"}
KINDS = {"team": "group", "agent": "user"}

STATUSES = {"open": "open", "pending": "pending", "snoozed": "hold", "resolved": "solved"}
STATUS_NAMES = {ours: theirs for theirs, ours in STATUSES.items()}
STATUS_TABLE: dict[str | None, str | None] = {
    "new": "open",
    "open": "open",
    "pending": "pending",
    "hold": "hold",
    "solved": "solved",
    "closed": "solved",
}
PRIORITIES = {"low": "low", "medium": "normal", "high": "high", "urgent": "urgent"}
PRIORITY_NAMES = {ours: theirs for theirs, ours in PRIORITIES.items()}
TEXTS = {"contains": ("substring", False), "does_not_contain": ("substring", True), "starts_with": ("starts", False)}
BOOKKEEPING = ("_source", "_expected", "id", "created_on", "account_id")
# What macros, filters and policies have besides; whether a macro is everybody's is kept by its record.
BESIDE = ("visibility", "created_by", "updated_by", "files", "filter_type", "type", "created_at", "updated_at")
LABEL = re.compile(r"[^\w-]")  # what no label holds (app/models/label.rb; the mapping writes tickets' labels so too)
# What a saved filter can ask (filter_keys.yml, conversations; read 2026-11-26).
FILTERED = {
    "status",
    "assignee_id",
    "inbox_id",
    "team_id",
    "priority",
    "display_id",
    "campaign_id",
    "labels",
    "referer",
}
FILTERED |= {"browser_language", "conversation_language", "country_code", "mail_subject", "created_at"}
# What a macro and an automation rule can do (macro.rb, automation_rule.rb ACTIONS_ATTRS).
MACRO_LACKS = ("send_email_to_team", "open_conversation", "pending_conversation", "add_sla")
THRESHOLDS = {
    "first_reply": "first_response_time_threshold",
    "next_reply": "next_response_time_threshold",
    "resolution": "resolution_time_threshold",
}

PLACEHOLDERS = {  # ours to theirs
    "ticket.number": "conversation.display_id",
    "ticket.channel": "inbox.name",
    "account.name": "account.name",
    "requester.name": "contact.name",
    "requester.first_name": "contact.first_name",
    "requester.last_name": "contact.last_name",
    "requester.email": "contact.email",
    "requester.phone": "contact.phone_number",
    "actor.name": "agent.name",  # who says it: an agent who clicks a macro, and nobody where a rule speaks
    "actor.first_name": "agent.first_name",
    "actor.last_name": "agent.last_name",
    "actor.email": "agent.email",
    "comments.all": "conversation.recent_messages",
}
MEANINGS = {theirs: ours for ours, theirs in PLACEHOLDERS.items()}


def label(tag: str) -> str:
    """Return the label that a tag becomes: one word in small letters."""
    return LABEL.sub("_", tag.lower())


def placeholder(meaning: str, *, clicked: bool = True) -> str | None:
    """Return Chatwoot's placeholder for a meaning, or None. ``clicked``: an agent speaks (liquidable.rb)."""
    if meaning.startswith("actor.") and not clicked:
        return None
    for ours, of in (("ticket.cf:", "conversation"), ("requester.cf:", "contact")):
        if meaning.startswith(ours):
            return f"{{{{{of}.custom_attribute.{field_name(meaning.removeprefix(ours))}}}}}"
    found = PLACEHOLDERS.get(meaning)
    return None if found is None else "{{" + found + "}}"
