"""Zammad's words for conditions, actions, columns and placeholders, each with ours.

Sources: zammad-admin-documentation (object-conditions, variables, trigger, scheduler, slas), zammad-documentation and
the engine itself (lib/selector/sql.rb of 2024-12), as gathered in the project's vendor facts (2026-11).
"""

from __future__ import annotations

import re

from migrator.rules.natives import field_name
from migrator.rules.rule import ClockPolicy, PassPolicy

TITLE = "Zammad"
NAMES_ORDER = "name"  # rules run in the order of their names: the place stands in the name
ONE_FORM = True  # a workflow acts on every ticket
NUMBERED = True  # ids stand in rules as numbers; where text is asked for, a number does as well
# What a rule says by its name, and the connector by its id: ``<state:open>``.
LOOKED_UP = ("state", "priority", "article_type", "article_sender", "role", "calendar")
# One pass in the order of lower(name); each sees the records as they are now and the changes that set the pass off;
# ticket_trigger_recursive is off unless somebody switched it on.
POLICY = PassPolicy(order="name", visibility="current", changes="original", cascade="none", action_order="phases")
# Jobs are written to run hourly; one takes at most 2,000 tickets in a run (admin documentation, Scheduler). That what
# they change sets off triggers is assumed.
CLOCK = ClockPolicy(order="none", most=2000, sets_off=True)

ATTRIBUTES: dict[str, str] = {  # theirs to ours
    "ticket.state_id": "ticket.status",
    "ticket.priority_id": "ticket.priority",
    "ticket.group_id": "ticket.group",
    "ticket.owner_id": "ticket.assignee",
    "ticket.customer_id": "ticket.requester",
    "ticket.organization_id": "ticket.organization",
    "ticket.title": "ticket.subject",
    "ticket.number": "ticket.number",
    "ticket.create_article_type_id": "ticket.channel",
    "ticket.mention_user_ids": "ticket.followers",
    "ticket.out_of_office_replacement_id": "ticket.replacement",
    "article.type_id": "comment.channel",
    "article.sender_id": "comment.role",
    "article.internal": "comment.public",
    "article.body": "comment.body",
    "article.subject": "comment.subject",
    "article.from": "comment.from",
    "article.to": "comment.to",
    "customer.email": "requester.email",
    "organization.domain": "organization.domain",
}
PATHS = {ours: theirs for theirs, ours in ATTRIBUTES.items()}
PEOPLE = ("ticket.assignee", "ticket.requester", "ticket.followers", "ticket.replacement")
REFERS = {  # path to (what a value names, how a reference to it is written)
    "ticket.status": ("status", "state"),
    "ticket.priority": ("priority", "priority"),
    "ticket.group": ("group", "group"),
    "ticket.assignee": ("user", "user"),
    "ticket.requester": ("user", "user"),
    "ticket.followers": ("user", "user"),
    "ticket.replacement": ("user", "user"),
    "ticket.organization": ("organization", "organization"),
    "ticket.channel": ("channel", "article_type"),
    "comment.channel": ("channel", "article_type"),
    "comment.role": ("role", "article_sender"),
    "ticket.form": ("form", "form"),
    "ticket.brand": ("brand", "brand"),
    "requester.language": ("locale", "locale"),
}
# Fields that tickets get so that rules can ask for what other vendors know of themselves.
HELPERS = {
    "ticket.type": ("ticket.type", "select", "what kind of ticket it is"),
    "ticket.form": ("ticket.form", "select", "which form it came through"),
    "ticket.brand": ("ticket.brand", "select", "which brand it belongs to"),
    "requester.language": ("customer.language", "input", "which language the customer reads"),
    "ticket.came_by": ("ticket.came_by", "select", "through which channel it came, in the old desk's words"),
}
# Texts that grow with a ticket; a trigger that runs first puts each article in front (attribute_updates.rb, 2025, puts
# values into placeholders of what a trigger sets, without quoting).
THREADS = {"comments.public": "ticket.comments_public", "comments.all": "ticket.comments_all"}
LONGEST = 5_000_000  # characters of such a text: a column takes 10 million
ENTRY = "#{article.created_by.firstname} #{article.created_by.lastname}, #{article.created_at}<br>"
ENTRY += "#{article.body_as_html}<hr>"
# Two people cannot be compared, but one text with both can be asked whether its halves are the same: PostgreSQL's and
# MySQL 8's patterns know what a group has found. Nobody is the user 1, who asks for nothing.
PEOPLE_FIELD = "ticket.people"
PEOPLE_TEXT = "#{ticket.owner.id}=#{ticket.customer.id}"
PEOPLE_SAME = r"^([0-9]+)=\1$"
REMEMBERED = re.compile(
    r"ticket\.((?:since|came|comments)_\w+|people)"
)  # helpers that only triggers fill and rules ask
HELPER_PATHS = {attribute: ours for ours, (attribute, _, _) in HELPERS.items()}

STATES = {  # theirs to ours; solved and on hold are added, so that no two of ours become one
    "new": "new",
    "open": "open",
    "pending reminder": "pending",
    "on hold": "hold",
    "solved": "solved",
    "closed": "closed",
}
ADDED_STATES = {"on hold": "pending reminder", "solved": "closed"}  # name to type
STATE_NAMES = {ours: theirs for theirs, ours in STATES.items()}
# "0 none" is added, so that a ticket without a priority stays one.
PRIORITIES = {"0 none": "none", "1 low": "low", "2 normal": "normal", "3 high": "high", "4 urgent": "urgent"}
PRIORITY_NAMES = {ours: theirs for theirs, ours in PRIORITIES.items()}
STATUS_TABLE: dict[str | None, str | None] = {word: word for word in STATES.values()}
PRIORITY_TABLE: dict[str | None, str | None] = {
    None: "none",
    **{word: word for word in PRIORITIES.values() if word != "none"},
}

CHANNELS = {
    "email": "email",
    "phone": "phone_inbound",
    "web": "web",
    "chat": "chat",
    "sms": "sms",
    "twitter status": "twitter",
    "facebook feed post": "facebook",
    "whatsapp message": "whatsapp",
    "note": "note",
}
CHANNEL_NAMES = {ours: theirs for theirs, ours in CHANNELS.items()} | {"phone_voicemail": "phone"}
SENDERS = {"Customer": "end_user", "Agent": "agent", "System": "system"}
SENDER_NAMES = {ours: theirs for theirs, ours in SENDERS.items()}

ANCHORS = {  # theirs to ours
    "ticket.created_at": "created",
    "ticket.updated_at": "updated",
    "ticket.pending_time": "reminder",
    "ticket.escalation_at": "sla_breach",
    "ticket.close_at": "first_closed",
    "ticket.last_contact_customer_at": "requester_updated",
    "ticket.last_contact_agent_at": "assignee_updated",
    "ticket.due_at": "due_at",
}
ANCHOR_NAMES = {ours: theirs for theirs, ours in ANCHORS.items()} | {"due": "ticket.due_at"}
RELATIVE = {  # operator to (the comparison of hours since, is the amount ahead of now?)
    "before (relative)": ("ge", False),
    "from (relative)": ("le", False),
    "till (relative)": ("ge", True),
    "after (relative)": ("le", True),
}
RANGES = {"minute": 1 / 60, "hour": 1.0, "day": 24.0, "week": 168.0, "month": 720.0, "year": 8760.0}  # hours

TEXTS = {  # operator to (mode, negated, what it answers for no text)
    "contains": ("substring", False, False),
    "contains not": ("substring", True, True),
    "starts with": ("starts", False, False),
    "starts with one of": ("starts", False, False),
    "ends with": ("ends", False, False),
    "ends with one of": ("ends", False, False),
    "matches regex": ("regex", False, False),
    "does not match regex": ("regex", True, False),
}
TAGS = {  # operator to (need, negated)
    "contains one": ("one", False),
    "contains all": ("all", False),
    "contains one not": ("one", True),
    "contains all not": ("all", True),
}
RECIPIENTS = {
    "ticket_customer": "requester",
    "ticket_owner": "assignee",
    "ticket_agents": "all_agents",
    "article_last_sender": "last_sender",
}
RECIPIENT_NAMES = {ours: theirs for theirs, ours in RECIPIENTS.items()}
COLUMNS = {
    "number": "number",
    "title": "subject",
    "customer": "requester",
    "organization": "organization",
    "group": "group",
    "owner": "assignee",
    "state": "status",
    "priority": "priority",
    "created_at": "created",
    "updated_at": "updated",
    "close_at": "solved",
    "type": "type",
    "due_at": "due",
}
COLUMN_NAMES = {ours: theirs for theirs, ours in COLUMNS.items()}
METRICS = {
    "first_response_time": "first_reply",
    "response_time": "next_reply",
    "update_time": "update",
    "solution_time": "resolution",
}
METRIC_NAMES = {ours: theirs for theirs, ours in METRICS.items()}
# The solution time: of each metric, the statuses beside new and open that it counts.
CLOCKS = {"resolution": ("pending", "hold"), "requester_wait": ("hold",), "agent_work": ()}
UNSOLVED = ("new", "open", "pending", "hold")

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
AROUND_THE_CLOCK = "around the clock"  # a calendar that is added for promises that count every hour
NOTE_SUBJECT = "Note"  # a trigger's note wants a subject (verify_perform_rules_validator.rb, 2026)
DEFAULTS = {  # options as they are where nobody said anything
    "activator": "action",
    "disable_notification": True,
    "object": "Ticket",
    "localization": None,
    "timezone": None,
    "ux_flow_next_up": "none",
    "group_ids": [],
    "out_of_office": False,
    "organization_shared": False,
}

BOOKKEEPING = (
    "_source",
    "_expected",
    "_position",
    "_details",
    "id",
    "created_at",
    "updated_at",
    "created_by_id",
    "updated_by_id",
    "link",
)

LINK = "#{config.http_type}://#{config.fqdn}/#ticket/zoom/#{ticket.id}"
PLACEHOLDERS: dict[str, str] = {  # ours to theirs
    "ticket.number": "#{ticket.number}",
    "ticket.subject": "#{ticket.title}",
    "ticket.description": "#{first_article.body}",
    "ticket.status": "#{t(ticket.state.name)}",
    "ticket.priority": "#{t(ticket.priority.name)}",
    "ticket.channel": "#{article.type.name}",
    "ticket.group": "#{ticket.group.name}",
    "ticket.tags": "#{ticket.tags}",
    "ticket.type": "#{ticket.type.value}",
    "ticket.brand": "#{ticket.brand.value}",
    "ticket.form": "#{ticket.form.value}",
    "account.name": "#{config.product_name}",
    "ticket.link": LINK,
    "ticket.url": "#{config.fqdn}/#ticket/zoom/#{ticket.id}",
    "ticket.created_date": '#{dt(ticket.created_at, "%Y-%m-%d")}',
    "ticket.created": "#{ticket.created_at}",
    "ticket.updated_date": '#{dt(ticket.updated_at, "%Y-%m-%d")}',
    "ticket.updated": "#{ticket.updated_at}",
    "ticket.due": "#{ticket.due_at}",
    "requester.name": "#{ticket.customer.firstname} #{ticket.customer.lastname}",
    "requester.first_name": "#{ticket.customer.firstname}",
    "requester.last_name": "#{ticket.customer.lastname}",
    "requester.email": "#{ticket.customer.email}",
    "requester.phone": "#{ticket.customer.phone}",
    "requester.details": "#{ticket.customer.note}",
    "organization.name": "#{ticket.organization.name}",
    "organization.details": "#{ticket.organization.note}",
    "assignee.name": "#{ticket.owner.firstname} #{ticket.owner.lastname}",
    "assignee.first_name": "#{ticket.owner.firstname}",
    "assignee.last_name": "#{ticket.owner.lastname}",
    "assignee.email": "#{ticket.owner.email}",
    "submitter.name": "#{ticket.created_by.firstname} #{ticket.created_by.lastname}",
    "actor.name": "#{ticket.updated_by.firstname} #{ticket.updated_by.lastname}",
    "actor.first_name": "#{ticket.updated_by.firstname}",
    "actor.email": "#{ticket.updated_by.email}",
    "actor.phone": "#{ticket.updated_by.phone}",
    "ticket.ccs": "#{article.cc}",
    "comment.latest": "#{last_article.body}",
    "comment.latest_html": "#{last_article.body_as_html}",
    "comment.latest_public": "#{last_external_article.body}",
    "comment.latest_public_html": "#{last_external_article.body_as_html}",
}
# In text modules: who puts one into a message has not changed the ticket yet.
WRITER = {
    "actor.name": "#{user.firstname} #{user.lastname}",
    "actor.first_name": "#{user.firstname}",
    "actor.email": "#{user.email}",
    "actor.phone": "#{user.phone}",
}
MEANINGS = {
    theirs.removeprefix("#{").removesuffix("}"): ours
    for ours, theirs in PLACEHOLDERS.items()
    if theirs.count("#{") == 1 and theirs.endswith("}")
}


def placeholder(meaning: str) -> str | None:
    """Return Zammad's placeholder for a meaning, or None."""
    for ours, of in (
        ("ticket.cf:", "ticket"),
        ("requester.cf:", "ticket.customer"),
        ("organization.cf:", "ticket.organization"),
    ):
        if meaning.startswith(ours):
            return f"#{{{of}.{field_name(meaning.removeprefix(ours))}}}"
    if meaning.startswith("ticket.cf_label:"):
        return f"#{{ticket.{field_name(meaning.removeprefix('ticket.cf_label:'))}.value}}"
    return PLACEHOLDERS.get(meaning)
