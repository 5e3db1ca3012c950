"""Request Tracker's words for scrips, each with ours.

Sources: bestpractical/rt etc/initialdata, lib/RT/Scrips.pm, Transaction.pm and Template.pm at 72106ba993 (2025-06-05),
as gathered in the project's vendor facts (2026-11).
"""

from __future__ import annotations

from migrator.rules.natives import field_name
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
# Statuses that a lifecycle of the account's own adds, so that no two of ours become one. Tickets are moved into them by
# an overlay, since mappings/vendors/request_tracker.yaml has one status for waiting and one for done.
ADDED_STATUSES = {"hold": ("hold", "pending"), "closed": ("closed", "solved")}  # ours to (name, what it is without)
WRITTEN_STATUSES = STATUS_NAMES | {ours: name for ours, (name, _) in ADDED_STATUSES.items()}
STATUS_TABLE: dict[str | None, str | None] = {
    word: word for word in ("new", "open", "pending", "hold", "solved", "closed")
}
CAME_BY = "Came by"  # a custom field that remembers the channel, which Request Tracker does not know
INTERFACES = {
    "Email": "email",
    "Web": "web",
    "REST2": "api",
    "REST": "api",
    "Mobile": "mobile",
}  # RT.pm, CurrentInterface
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
# Text: what the template of that name says; To: whom a mail to people by name goes to; Helpers and Statuses: what the
# scrip rests on, by our writer. None of them is a key of initialdata.
OPTIONS = ("Queue", "Stage", "Disabled", "Template", "SortOrder", "Text", "To", "Helpers", "Statuses")
ITS_OWN = (
    "Queue",
    "Disabled",
    "Template",
    "SortOrder",
    "Text",
    "To",
    "Helpers",
    "Statuses",
)  # told otherwise, in an account
PEOPLE = "Notify people"  # in place of the name of an action that mails people by name, which is nobody's choice
ALL_AGENTS = "all agents"  # the group Privileged
HELPERS = {
    "Tags": "Freeform-0",
    "Type": "Freeform-1",
    "Came by": "Freeform-1",
}  # fields a rule may ask for to their kind
BOOKKEEPING = ("_source", "id")

# What was said, the newest first; the ticket's own messages only, with internal notes or without.
THREAD = r"""{ my $all = $Ticket->Transactions; my $out = '';
  $all->OrderByCols({ FIELD => 'Created', ORDER => 'DESC' }, { FIELD => 'id', ORDER => 'DESC' });
  while (my $one = $all->Next) { next unless $one->Type =~ /^(?:TYPES)$/;
    $out .= $one->CreatorObj->Name . ', ' . $one->CreatedAsString . ":\n" . $one->Content . "\n\n"; LAST } $out }"""
PUBLIC = "Create|Correspond"


def thread(types: str, *, last: bool = False) -> str:
    """Return the Perl that prints what was said in transactions of these types, or only the newest of it."""
    code = " ".join(THREAD.split()).replace("TYPES", types).replace("LAST", "last" if last else "")
    return code.replace("$one->CreatorObj->Name . ', ' . $one->CreatedAsString . \":\\n\" . ", "") if last else code


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
    "comment.latest_public": thread(PUBLIC, last=True),
    "comment.latest_public_html": thread(PUBLIC, last=True),
    "comments.public": thread(PUBLIC),
    "comments.all": thread(f"{PUBLIC}|Comment"),
}


def placeholder(meaning: str) -> str | None:
    """Return the expression of a Perl template for a meaning, or None."""
    if meaning.startswith(("ticket.cf:", "ticket.cf_label:")):
        return "{$Ticket->FirstCustomFieldValue('" + field_name(meaning.partition(":")[2]) + "')}"
    return PLACEHOLDERS.get(meaning)


MEANINGS = {theirs: ours for ours, theirs in reversed(PLACEHOLDERS.items())}


def said(text: str) -> str:
    """Return plain text as a Perl template that prints it: braces and backslashes would begin or end Perl."""
    return "".join(f"{{chr({ord(char)})}}" if char in "{}\\" else char for char in text)
