"""Jira's words for automation rules, each with ours.

Sources: the Automation Rule Management API (community.atlassian.com 3115881), the form of rules in public exports and
clients, as gathered in the vendor facts (customizations 1.6, 2.7); statuses are those of the service project's default
workflow. What is assumed stands in facts.yaml.
"""

from __future__ import annotations

from migrator.rules.rule import PassPolicy

TITLE = "Jira Service Management"
# In no order to depend on; a rule sees what others changed; whether rules set off rules is a switch on each.
POLICY = PassPolicy(order="none", visibility="current", changes="original", cascade="none")

FIELDS = {  # theirs to ours; any other is a custom field
    "status": "ticket.status",
    "priority": "ticket.priority",
    "issuetype": "ticket.type",
    "assignee": "ticket.assignee",
    "reporter": "ticket.requester",
    "summary": "ticket.subject",
    "description": "ticket.description",
    "project": "ticket.group",
    "organizations": "ticket.organization",
}
LABELS = "labels"
STATUSES = {
    "waiting for support": "open",
    "waiting for customer": "pending",
    "pending": "hold",
    "resolved": "solved",
    "closed": "closed",
}
PRIORITIES = {"highest": "urgent", "high": "high", "medium": "normal", "low": "low"}
TYPES = {"incident": "incident", "problem": "problem", "change": "task", "service request": "question"}  # tickets' too
TYPES = {f"[system] {word}": ours for word, ours in TYPES.items()} | {**TYPES, "task": "task"}
PROJECT, CALLED = "_project", "_fields"  # noted when a rule is read: the project that is moved, what fields are called
SET_OFF_APART = True  # a trigger stands before the conditions
REFERS = {
    "ticket.status": "status",
    "ticket.priority": "priority",
    "ticket.assignee": "user",
    "ticket.requester": "user",
    "ticket.group": "group",
    "ticket.organization": "organization",
}
EVENTS = {
    "jira.issue.event.trigger:created": "created",
    "jira.issue.event.trigger:updated": "updated",
    "jira.issue.event.trigger:commented": "commented",
}
TRANSITIONED = "jira.issue.event.trigger:transitioned"
ASSIGNED = "jira.issue.event.trigger:assigned"
CHANGED = "jira.issue.field.changed"
SCHEDULED = "jira.jql.scheduled"
MANUAL = "jira.manual.trigger.issue"
COMPARISONS = {"EQUALS": False, "ONE_OF": False, "NOT_EQUALS": True, "NOT_ONE_OF": True}  # to negated
BOOKKEEPING: tuple[str, ...] = (
    "_source",
    "_kind",
    "_place",
    PROJECT,
    CALLED,
    "id",
    "uuid",
    "clientKey",
    "created",
    "updated",
    "authorAccountId",
    "actor",
    "actorAccountId",
)
BOOKKEEPING += ("ruleHome", "schemaVersion", "idUuid", "collaborators", "billingType", "partitionId")

PLACEHOLDERS = {  # theirs to ours
    "issue.key": "ticket.number",
    "issue.summary": "ticket.subject",
    "issue.description": "ticket.description",
    "issue.status.name": "ticket.status",
    "issue.status": "ticket.status",
    "issue.priority.name": "ticket.priority",
    "issue.priority": "ticket.priority",
    "issue.issuetype.name": "ticket.type",
    "issue.url": "ticket.link",
    "issue.url.customer": "ticket.link",
    "issue.reporter.displayName": "requester.name",
    "issue.reporter.emailAddress": "requester.email",
    "issue.assignee.displayName": "assignee.name",
    "issue.assignee.emailAddress": "assignee.email",
    "initiator.displayName": "actor.name",
    "initiator.emailAddress": "actor.email",
}

COLUMNS = {  # of queues and filters
    "issuekey": "number",
    "summary": "subject",
    "reporter": "requester",
    "assignee": "assignee",
    "status": "status",
    "priority": "priority",
    "created": "created",
    "updated": "updated",
    "issuetype": "type",
    "duedate": "due",
}
OF_LISTS: tuple[str, ...] = (
    PROJECT,
    CALLED,
    "_links",
    "issueCount",
    "self",
    "owner",
    "viewUrl",
    "searchUrl",
    "favourite",
    "favouritedCount",
)
OF_LISTS += ("sharePermissions", "editPermissions", "subscriptions", "expand", "isWritable", "sharedUsers")
