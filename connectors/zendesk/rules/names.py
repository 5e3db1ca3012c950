"""Zendesk's words for conditions, actions, channels, columns and placeholders, each with ours.

Sources: developer.zendesk.com conditions-reference and actions-reference, the placeholders reference (article
4408886858138), and the definitions of a real account, as gathered in the project's vendor facts (2026-11).
"""

from __future__ import annotations

from migrator.rules.rule import ClockPolicy, PassPolicy

TITLE = "Zendesk"
# Checked first to last on every update; after one acts from the top again, each once an update (from experience,
# not found in the documents).
POLICY = PassPolicy(order="position", visibility="current", changes="cumulative", cascade="once_each", restart=True)
# Once an hour, at a minute nobody tells; whole hours, counted from the first run that saw it begin; at most 1,000
# tickets an hour for each automation, 100 updates of a ticket by automations; closed tickets are not looked at
# (support.zendesk.com 4408832701850, 4408836495130, read 2026-11). That what they change sets off triggers is assumed.
CLOCK = ClockPolicy(order="position", whole=True, most=1000, acts=100, skips=("closed",), sets_off=True)

# field to (path, what a value that is an id refers to, or "" for plain values)
FIELDS: dict[str, tuple[str, str]] = {
    "status": ("ticket.status", ""),
    "priority": ("ticket.priority", ""),
    "type": ("ticket.type", ""),
    "group_id": ("ticket.group", "group"),
    "assignee_id": ("ticket.assignee", "user"),
    "requester_id": ("ticket.requester", "user"),
    "organization_id": ("ticket.organization", "organization"),
    "brand_id": ("ticket.brand", "brand"),
    "ticket_form_id": ("ticket.form", "form"),
    "custom_status_id": ("ticket.custom_status", "custom_status"),
    "locale_id": ("requester.language", "locale"),
    "via_id": ("ticket.channel", "channel"),
    "current_via_id": ("comment.channel", "channel"),
    "role": ("actor.role", "role"),
    "schedule_id": ("ticket.schedule", "schedule"),
    "ticket_is_public": ("ticket.privacy", ""),
    "satisfaction_score": ("ticket.satisfaction", ""),
    "satisfaction_reason_code": ("ticket.satisfaction_reason", ""),
    "recipient": ("ticket.recipient", ""),
    "reopens": ("ticket.reopens", ""),
    "replies": ("ticket.replies", ""),
    "agent_stations": ("ticket.agent_stations", ""),
    "group_stations": ("ticket.group_stations", ""),
    "attachment": ("comment.attachment", ""),
    "cc": ("ticket.ccs", "user"),
    "on_holiday": ("ticket.on_holiday", ""),
    "subject": ("ticket.subject", ""),
    "requester_role": ("requester.role", "role"),
}
PATHS = {path: field for field, (path, _) in FIELDS.items()}
TYPES = {"0": None, "1": "question", "2": "incident", "3": "problem", "4": "task"}  # ticket_type_id, in SLA filters

WORDS = {  # fields that look for words
    "subject_includes_word": "ticket.subject",
    "comment_includes_word": "comment.body",
    "description_includes_word": "ticket.description",
}
HOURS = {
    "NEW": "created",
    "OPEN": "status:open",
    "PENDING": "status:pending",
    "HOLD": "status:hold",
    "SOLVED": "status:solved",
    "CLOSED": "status:closed",
    "assigned_at": "assigned",
    "updated_at": "updated",
    "requester_updated_at": "requester_updated",
    "assignee_updated_at": "assignee_updated",
    "due_date": "due",
    "due_at": "due_at",
    "until_due_date": "until_due",
    "sla_next_breach_at": "sla_breach",
    "until_sla_next_breach_at": "until_sla_breach",
}
ANCHORS = {anchor: field for field, anchor in HOURS.items()}
CHANNELS = {
    "0": "web",
    "4": "email",
    "5": "api",
    "8": "rule",
    "24": "forum",
    "27": "follow_up",
    "29": "chat",
    "30": "twitter",
    "33": "phone_voicemail",
    "34": "phone_inbound",
    "35": "phone_outbound",
    "38": "facebook",
    "41": "facebook_message",
    "48": "widget",
    "49": "mobile",
    "50": "help_center_post",
    "57": "sms",
    "72": "line",
    "73": "wechat",
    "74": "whatsapp",
    "78": "messenger",
    "86": "instagram",
}
CODES = {word: code for code, word in CHANNELS.items()}

ORDERS = {"less_than": "lt", "greater_than": "gt", "less_than_equal": "le", "greater_than_equal": "ge"}
CHANGES = {  # operator to (from, to, negated)
    "changed": (False, False, False),
    "not_changed": (False, False, True),
    "value": (False, True, False),
    "not_value": (False, True, True),
    "value_previous": (True, False, False),
    "not_value_previous": (True, False, True),
}

RECIPIENTS: dict[str, tuple[str, ...]] = {
    "requester_id": ("requester",),
    "assignee_id": ("assignee",),
    "requester_and_ccs": ("requester", "ccs"),
    "all_agents": ("all_agents",),
    "current_user": ("current_user",),
}
METRICS = {
    "first_reply_time": "first_reply",
    "next_reply_time": "next_reply",
    "periodic_update_time": "periodic_update",
    "pausable_update_time": "pausable_update",
    "requester_wait_time": "requester_wait",
    "agent_work_time": "agent_work",
    "total_resolution_time": "resolution",
}
COLUMNS = {  # only those that others have too; any other keeps its own name
    "nice_id": "number",
    "ticket_id": "number",
    "subject": "subject",
    "requester": "requester",
    "created": "created",
    "updated": "updated",
    "group": "group",
    "assignee": "assignee",
    "status": "status",
    "priority": "priority",
    "type": "type",
    "solved": "solved",
    "due_date": "due",
    "organization": "organization",
}
COLUMN_NAMES = {ours: theirs for theirs, ours in COLUMNS.items() if theirs != "ticket_id"}

# Keys that say nothing about what a rule does; they go home with the rule and nowhere else.
BOOKKEEPING = ("_source", "url", "created_at", "updated_at", "raw_title", "default", "watchable")

PLACEHOLDERS: dict[str, str] = {  # theirs to ours
    "ticket.id": "ticket.number",
    "ticket.external_id": "ticket.external_id",
    "ticket.title": "ticket.subject",
    "ticket.description": "ticket.description",
    "ticket.status": "ticket.status",
    "ticket.priority": "ticket.priority",
    "ticket.ticket_type": "ticket.type",
    "ticket.via": "ticket.channel",
    "ticket.group.name": "ticket.group",
    "ticket.tags": "ticket.tags",
    "ticket.brand.name": "ticket.brand",
    "ticket.ticket_form": "ticket.form",
    "ticket.account": "account.name",
    "ticket.link": "ticket.link",
    "ticket.url_with_protocol": "ticket.link",
    "ticket.url": "ticket.url",
    "ticket.created_at": "ticket.created_date",
    "ticket.created_at_with_timestamp": "ticket.created",
    "ticket.updated_at": "ticket.updated_date",
    "ticket.updated_at_with_timestamp": "ticket.updated",
    "ticket.due_date": "ticket.due",
    "ticket.requester.name": "requester.name",
    "ticket.requester.first_name": "requester.first_name",
    "ticket.requester.last_name": "requester.last_name",
    "ticket.requester.email": "requester.email",
    "ticket.requester.phone": "requester.phone",
    "ticket.requester.language": "requester.language",
    "ticket.requester.details": "requester.details",
    "ticket.organization.name": "organization.name",
    "ticket.organization.details": "organization.details",
    "ticket.assignee.name": "assignee.name",
    "ticket.assignee.first_name": "assignee.first_name",
    "ticket.assignee.last_name": "assignee.last_name",
    "ticket.assignee.email": "assignee.email",
    "ticket.submitter.name": "submitter.name",
    "current_user.name": "actor.name",
    "current_user.first_name": "actor.first_name",
    "current_user.email": "actor.email",
    "current_user.phone": "actor.phone",
    "current_user.signature": "actor.signature",
    "agent.signature": "actor.signature",
    "ticket.cc_names": "ticket.ccs",
    "ticket.ccs": "ticket.ccs",
    "ticket.latest_comment": "comment.latest",
    "ticket.latest_comment_html": "comment.latest_html",
    "ticket.latest_public_comment": "comment.latest_public",
    "ticket.latest_public_comment_html": "comment.latest_public_html",
    "ticket.comments_formatted": "comments.all",
    "ticket.public_comments_formatted": "comments.public",
    "satisfaction.rating_section": "satisfaction.survey",
    "satisfaction.current_rating": "satisfaction.rating",
    "satisfaction.current_comment": "satisfaction.comment",
}
# Of two names with one meaning, the first is written.
MEANINGS = {ours: theirs for theirs, ours in reversed(PLACEHOLDERS.items())}


def meaning(name: str) -> str:
    """Return what a placeholder means, in our words: custom fields and dynamic content carry their id."""
    for theirs, ours in (
        ("ticket.ticket_field_option_title_", "ticket.cf_label:"),
        ("ticket.ticket_field_", "ticket.cf:"),
        ("ticket.requester.custom_fields.", "requester.cf:"),
        ("ticket.organization.custom_fields.", "organization.cf:"),
        ("dc.", "dynamic_content:"),
    ):
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return PLACEHOLDERS.get(name, "")
