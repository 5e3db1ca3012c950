"""Invented rules of an invented support desk, as Zendesk exports them: most can be carried, some cannot."""

from __future__ import annotations

from typing import Any

Native = dict[str, Any]


def _asked(*all: tuple[str, str, Any], some: tuple[tuple[str, str, Any], ...] = ()) -> Native:
    def one(part: tuple[str, str, Any]) -> Native:
        return dict(zip(("field", "operator", "value"), part, strict=True))

    return {"all": [one(part) for part in all], "any": [one(part) for part in some]}


def _does(*parts: tuple[str, Any]) -> list[Native]:
    return [{"field": field, "value": value} for field, value in parts]


def export() -> dict[str, list[Native]]:
    """Return the export: what the lists of the API answer, put into one object."""
    made = {
        "triggers": _triggers(),
        "automations": _automations(),
        "macros": _macros(),
        "views": _views(),
        "sla_policies": _slas(),
    }
    for at, one in enumerate((rule for rules in made.values() for rule in rules), 1):
        one["id"] = 900_000 + at
    for rules in made.values():
        for at, one in enumerate(rules, 1):
            one |= {"position": at} | ({} if "policy_metrics" in one else {"active": one.get("active", True)})
    return made


def _triggers() -> list[Native]:
    return [
        {
            "title": "Greet whoever writes to us",
            "conditions": _asked(
                ("update_type", "is", "Create"), ("status", "is_not", "solved"), ("ticket_is_public", "is", "public")
            ),
            "actions": _does(
                (
                    "notification_user",
                    [
                        "requester_id",
                        "We have your message ({{ticket.id}})",
                        "Dear {{ticket.requester.first_name}},\n\nwe will be back soon.\n\n{{ticket.account}}",
                    ],
                )
            ),
        },
        {
            "title": "Refunds go to Billing",
            "conditions": _asked(
                ("update_type", "is", "Create"),
                some=(
                    ("subject_includes_word", "includes", "refund chargeback"),
                    ("current_tags", "includes", "billing invoice"),
                ),
            ),
            "actions": _does(("group_id", "21"), ("priority", "high"), ("current_tags", "money")),
        },
        {
            "title": "Tell the assignee that it came back",
            "conditions": _asked(
                ("assignee_id", "is_not", "current_user"),
                ("status", "value_previous", "solved"),
                ("status", "is_not", "closed"),
            ),
            "actions": _does(
                ("notification_user", ["assignee_id", "Back again: {{ticket.title}}", "{{ticket.latest_comment_html}}"])
            ),
        },
        {
            "title": "Send everything that was said",
            "conditions": _asked(("update_type", "is", "Change"), ("comment_is_public", "is", "true")),
            "actions": _does(
                ("notification_user", ["requester_id", "Re: {{ticket.title}}", "{{ticket.comments_formatted}}"])
            ),
        },
        {
            "title": "Answer in the customer's language",
            "conditions": _asked(("update_type", "is", "Create"), ("locale_id", "is", "8")),
            "actions": _does(
                (
                    "notification_user",
                    ["requester_id", "Bonjour", "{% if ticket.priority == 'urgent' %}Vite !{% endif %}"],
                )
            ),
        },
        {
            "title": "No answers to oneself",
            "conditions": _asked(
                ("assignee_id", "is_not", "requester_id"), ("comment_is_public", "is", "not_relevant")
            ),
            "actions": _does(("current_tags", "answered_by_another")),
        },
        {
            "title": "Page the night shift",
            "active": False,
            "conditions": _asked(("priority", "is", "urgent"), ("priority", "changed", None)),
            "actions": _does(("notification_webhook", ["01PAGER", '{"ticket": "{{ticket.id}}"}'])),
        },
    ]


def _automations() -> list[Native]:
    return [
        {
            "title": "Close four days after it was solved",
            "conditions": _asked(("status", "is", "solved"), ("SOLVED", "greater_than", "96")),
            "actions": _does(("status", "closed")),
        },
        {
            "title": "Remind after a day of waiting",
            "conditions": _asked(("status", "is", "pending"), ("PENDING", "is", "24")),
            "actions": _does(("notification_user", ["requester_id", "Are you still there?", "See {{ticket.link}}"])),
        },
        {
            "title": "Old and low",
            "conditions": _asked(
                ("priority", "less_than", "high"), ("NEW", "greater_than", "720"), ("status", "less_than", "solved")
            ),
            "actions": _does(("current_tags", "stale"), ("assignee_id", "")),
        },
    ]


def _macros() -> list[Native]:
    return [
        {"title": "Spam::Close", "actions": _does(("status", "solved"), ("current_tags", "spam"))},
        {
            "title": "Ask for the order number",
            "actions": _does(
                ("comment_value", "Hello {{ticket.requester.name}},\nwhich order is it?"), ("status", "pending")
            ),
        },
        {
            "title": "Take it",
            "restriction": {"type": "Group", "ids": [21, 22]},
            "actions": _does(("assignee_id", "current_user"), ("status", "open")),
        },
    ]


def _views() -> list[Native]:
    columns = [{"id": one} for one in ("nice_id", "subject", "requester", "created", "priority")]
    look = {"columns": columns, "group_by": "status", "group_order": "asc", "sort_by": "created", "sort_order": "desc"}
    return [
        {
            "title": "Mine",
            "conditions": _asked(("status", "less_than", "solved"), ("assignee_id", "is", "current_user")),
            "execution": look,
        },
        {
            "title": "Nobody's",
            "conditions": _asked(
                ("assignee_id", "is", ""),
                some=(("priority", "is", "urgent"), ("current_tags", "includes", "vip press")),
            ),
            "execution": {**look, "columns": [*columns, {"id": "satisfaction_score"}]},
        },
    ]


def _slas() -> list[Native]:
    def target(priority: str, metric: str, minutes: int) -> Native:
        return {"priority": priority, "metric": metric, "target": minutes, "business_hours": True}

    return [
        {
            "title": "Incidents",
            "filter": _asked(("type", "is", "incident")),
            "policy_metrics": [
                target(priority, metric, minutes * factor)
                for priority, minutes in (("urgent", 15), ("high", 60), ("normal", 240), ("low", 480))
                for metric, factor in (("first_reply_time", 1), ("total_resolution_time", 8))
            ],
        },
        {
            "title": "Time our people work",
            "filter": _asked(("organization_id", "is", 33)),
            "policy_metrics": [target("high", "agent_work_time", 60)],
        },
    ]
