"""HubSpot's words for workflows over tickets, each with ours.

Sources: the Automation V4 specification (HubSpot-public-api-spec-collection, rollout 144908), the help desk's default
properties; ids of actions are not in the specification and assumed (facts.yaml).
"""

from __future__ import annotations

from migrator.rules.rule import PassPolicy

TITLE = "HubSpot"
POLICY = PassPolicy(order="none", visibility="current", changes="original", cascade="once_each")
TICKETS = "0-5"  # objectTypeId

PROPERTIES = {  # theirs to ours; any other is a custom field
    "hs_pipeline_stage": "ticket.status",
    "hs_ticket_priority": "ticket.priority",
    "hs_ticket_category": "ticket.type",
    "hs_pipeline": "ticket.group",
    "hubspot_owner_id": "ticket.assignee",
    "subject": "ticket.subject",
    "content": "ticket.description",
    "source_type": "ticket.channel",
}
# Of the pipeline that every account has; stages of its own are numbers and stay what they are.
STAGES = {"1": "new", "2": "pending", "3": "open", "4": "closed"}
PRIORITIES = {"LOW": "low", "MEDIUM": "normal", "HIGH": "high", "URGENT": "urgent"}
CHANNELS = {"CHAT": "chat", "EMAIL": "email", "FORM": "web", "PHONE": "phone_inbound"}
REFERS = {"ticket.status": "status", "ticket.group": "group", "ticket.assignee": "user"}

AMONG = {"IS_ANY_OF": False, "IS_EQUAL_TO": False, "IS_NONE_OF": True, "IS_NOT_EQUAL_TO": True}  # operator to negated
TEXTS = {  # operator to (mode, negated)
    "CONTAINS": ("substring", False),
    "DOES_NOT_CONTAIN": ("substring", True),
    "STARTS_WITH": ("starts", False),
    "ENDS_WITH": ("ends", False),
}
ORDERS = {
    "IS_GREATER_THAN": "gt",
    "IS_LESS_THAN": "lt",
    "IS_GREATER_THAN_OR_EQUAL_TO": "ge",
    "IS_LESS_THAN_OR_EQUAL_TO": "le",
}
SET_PROPERTY = "0-5"  # actionTypeId
DELAY = "0-1"
ACTIONS = {"0-3": "make a task", "0-4": "send a marketing mail", "0-8": "mail colleagues", "0-9": "notify in HubSpot"}
BOOKKEEPING: tuple[str, ...] = ("_kind", "createdAt", "updatedAt", "revisionId", "nextAvailableActionId")
BOOKKEEPING += ("crmObjectCreationStatus", "id", "uuid")
