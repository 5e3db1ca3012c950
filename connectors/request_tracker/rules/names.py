"""Request Tracker's words for scrips, each with ours.

Sources: bestpractical/rt etc/initialdata, lib/RT/Scrips.pm, Transaction.pm and Template.pm at 72106ba993 (2025-06-05),
as gathered in the project's vendor facts (2026-11).
"""

from __future__ import annotations

from migrator.rules.rule import PassPolicy

TITLE = "Request Tracker"
# All conditions and Prepare first, then Commit in order; each change there is a transaction with scrips of its own.
POLICY = PassPolicy(order="position", visibility="snapshot", changes="original", cascade="recursive")

CHANGES = {  # stock conditions about one field to (path, changed to)
    "On Status Change": ("ticket.status", ""),
    "On Priority Change": ("ticket.priority", ""),
    "On Owner Change": ("ticket.assignee", ""),
    "On Queue Change": ("ticket.group", ""),
    "On Resolve": ("ticket.status", "resolved"),
    "On Reject": ("ticket.status", "rejected"),
}
EVENTS = {"On Create": "created"}
SAID = {"On Correspond": True, "On Comment": False}  # is what comes in for the requester?
SAID_NAMES = {public: name for name, public in SAID.items()}
EVENT_NAMES = {ours: theirs for theirs, ours in EVENTS.items()}
ANYTHING = "On Transaction"

STATUSES = {"new": "new", "open": "open", "stalled": "pending", "resolved": "solved", "rejected": "closed"}
STATUS_NAMES = {ours: theirs for theirs, ours in STATUSES.items()}
# As mappings/vendors/request_tracker.yaml moves tickets: one status for waiting, one for done.
STATUS_TABLE: dict[str | None, str | None] = {
    "new": "new",
    "open": "open",
    "pending": "pending",
    "hold": "pending",
    "solved": "solved",
    "closed": "solved",
}
PRIORITIES = {"low": 0, "normal": 50, "high": 100}  # as PriorityAsString has them
PRIORITY_TABLE: dict[str | None, str | None] = {
    None: "low",
    "low": "low",
    "normal": "normal",
    "high": "high",
    "urgent": "high",
}

WATCHERS = {  # in the names of stock actions to ours
    "Requestors": "requester",
    "Owner": "assignee",
    "Ccs": "ccs",
    "AdminCcs": "admin_ccs",
    "Other Recipients": "other_recipients",
}
WATCHER_NAMES = {ours: theirs for theirs, ours in WATCHERS.items()}
OPTIONS = ("Queue", "Stage", "Disabled", "Template")
BOOKKEEPING = ("_source",)

PLACEHOLDERS = {  # ours to theirs, in Perl templates
    "ticket.number": "{$Ticket->id}",
    "ticket.subject": "{$Ticket->Subject}",
    "ticket.status": "{$Ticket->Status}",
    "ticket.priority": "{$Ticket->Priority}",
    "ticket.group": "{$Ticket->QueueObj->Name}",
    "account.name": "{$rtname}",
    "ticket.link": "{RT->Config->Get('WebURL')}Ticket/Display.html?id={$Ticket->id}",
    "ticket.created": "{$Ticket->CreatedObj->ISO}",
    "ticket.updated": "{$Ticket->LastUpdatedObj->ISO}",
    "requester.name": "{$Ticket->Requestors->UserMembersObj->First->RealName}",
    "requester.email": "{$Ticket->RequestorAddresses}",
    "assignee.name": "{$Ticket->OwnerObj->RealName}",
    "assignee.email": "{$Ticket->OwnerObj->EmailAddress}",
    "submitter.name": "{$Ticket->CreatorObj->RealName}",
    "actor.name": "{$Transaction->CreatorObj->RealName}",
    "actor.email": "{$Transaction->CreatorObj->EmailAddress}",
    "ticket.ccs": "{$Ticket->CcAddresses}",
    "comment.latest": "{$Transaction->Content}",
    "comment.latest_html": "{$Transaction->Content(Type => 'text/html')}",
}


def placeholder(meaning: str) -> str | None:
    """Return the expression of a Perl template for a meaning, or None."""
    if meaning.startswith(("ticket.cf:", "ticket.cf_label:")):
        return "{$Ticket->FirstCustomFieldValue('" + field(meaning.partition(":")[2]) + "')}"
    return PLACEHOLDERS.get(meaning)


def field(custom: str) -> str:
    """Return the name of the custom field that holds another vendor's."""
    return "cf_" + "".join(char if char.isascii() and char.isalnum() else "_" for char in custom.lower()).strip("_")
