"""Chatwoot's words for conditions, actions and placeholders, each with ours.

Sources: conditions_filter_service.rb, filter_keys.yml and the specs of chatwoot/chatwoot, as gathered in the project's
vendor facts (2026-11); the stored copies mix versions, so that keys and events are to be checked on the one deployed.
"""

from __future__ import annotations

from migrator.rules.natives import field_name
from migrator.rules.rule import PassPolicy

TITLE = "Chatwoot"
# All active rules of the event, by id in practice; what they change sets off no rule; reloaded between actions.
POLICY = PassPolicy(order="none", visibility="current", changes="original", cascade="none")

EVENTS = {
    "conversation_created": "created",
    "conversation_updated": "updated",
    "message_created": "commented",
}
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

PLACEHOLDERS = {  # ours to theirs
    "ticket.number": "conversation.display_id",
    "ticket.channel": "inbox.name",
    "account.name": "account.name",
    "requester.name": "contact.name",
    "requester.first_name": "contact.first_name",
    "requester.last_name": "contact.last_name",
    "requester.email": "contact.email",
    "requester.phone": "contact.phone_number",
    "assignee.name": "agent.name",
    "assignee.first_name": "agent.first_name",
    "assignee.email": "agent.email",
    "comments.all": "conversation.recent_messages",
}
MEANINGS = {theirs: ours for ours, theirs in PLACEHOLDERS.items()}


def placeholder(meaning: str) -> str | None:
    """Return Chatwoot's placeholder for a meaning, or None."""
    for ours, of in (("ticket.cf:", "conversation"), ("requester.cf:", "contact")):
        if meaning.startswith(ours):
            return f"{{{{{of}.custom_attribute.{field_name(meaning.removeprefix(ours))}}}}}"
    found = PLACEHOLDERS.get(meaning)
    return None if found is None else "{{" + found + "}}"
