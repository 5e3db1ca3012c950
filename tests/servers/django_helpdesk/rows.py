"""Records in Django's own fixture format, as a desk in use would hold them: they come from no code of ours."""

from __future__ import annotations

import base64
import json
from typing import Any

from migrator.testing.servers.django_helpdesk import DjangoHelpdesk

Row = dict[str, Any]
# As the desk's own page saves it (views/staff.py of 2.6.1).
ASKED = {
    "filtering": {"queue__id__in": [7], "assigned_to__id__in": [2], "status__in": [1, 2], "priority__in": [1],
                  "created__gte": "2024-01-03"},
    "filtering_null": {"assigned_to__id__isnull": True}, "search_string": "order", "sorting": "priority",
    "sortreverse": "on",
}  # fmt: skip


def asked(query: dict[str, Any]) -> str:
    """Return a query the way the desk stores it."""
    return base64.b64encode(json.dumps(query).encode()).decode()


def row(model: str, pk: int, **fields: Any) -> Row:
    """Return one row."""
    return {"model": model if "." in model else f"helpdesk.{model}", "pk": pk, "fields": fields}


def ticket(pk: int, **fields: Any) -> Row:
    """Return a ticket with what it cannot be without."""
    given: Row = {
        "title": f"Question {pk}", "queue": 1, "created": f"2024-01-{pk % 28 + 1:02}T08:00:00Z",
        "modified": f"2024-02-{pk % 28 + 1:02}T08:00:00Z", "submitter_email": f"Asks{pk % 5}@Customer.example",
        "status": pk % 5 + 1, "priority": pk % 5 + 1, "description": f"Where is order {pk}?", "secret_key": f"key-{pk}",
    }  # fmt: skip
    return row("ticket", pk, **{**given, **fields})


def filled(desk: DjangoHelpdesk, tickets: int = 12) -> list[Row]:
    """Return rows of everything that is read, and put the bytes of the attachments where the rows say."""
    rows: list[Row] = [
        row("auth.user", 10, username="kim", email="Asks1@customer.example", first_name="Kim", last_name="Ü"),
        row("queue", 7, title="Rücksendungen", slug="returns", email_box_pass="mailbox-secret"),
        row("presetreply", 1, name="Thanks", body="Thank you, {{ ticket.submitter_email }}", queues=[7]),
        row("kbcategory", 1, name="How", title="How to", slug="how", description="-", public=True),
        row(
            "kbitem", 1, category=1, title="Send it back", question="How do I send it back?", answer="By *post*.",
            last_updated="2024-01-01T00:00:00Z", order=3, enabled=True, votes=4, recommendations=3, voted_by=[1],
            downvoted_by=[],
        ),
        row("savedsearch", 1, user=2, title="Of an older version", shared=False, query="gASVAAAA"),
        row("savedsearch", 2, user=2, title="Urgent, mine or nobody's", shared=True, query=asked(ASKED)),
        row("savedsearch", 3, user=1, title="By article", shared=True, query=asked({"filtering": {"kbitem__in": [1]}})),
    ]  # fmt: skip
    for pk in range(1, tickets + 1):
        at = f"2024-01-{pk % 28 + 1:02}T"
        rows.append(ticket(pk, assigned_to=2 if pk % 3 else None, on_hold=pk == 5, queue=7 if pk % 2 else 1))
        said = f"Where is order {pk}?"
        rows.append(
            row("followup", pk * 10, ticket=pk, date=f"{at}08:00:00Z", title="Ticket Opened", comment=said, public=True)
        )
        rows.append(
            row(
                "followup",
                pk * 10 + 1,
                ticket=pk,
                date=f"{at}09:00:00Z",
                title="Comment",
                comment="ok",
                public=True,
                user=2,
            )
        )
        rows.append(
            row("followup", pk * 10 + 2, ticket=pk, date=f"{at}10:00:00Z", title="Closed", new_status=4, user=2)
        )
        rows.append(
            row("ticketcustomfieldvalue", pk, ticket=pk, field=1 + pk % 2, value="Low" if pk % 2 == 0 else f"A-{pk}")
        )
        if pk % 4 == 0:
            name = f"helpdesk/attachments/{pk}/bild_{pk}.png"
            (desk.media / name).parent.mkdir(parents=True, exist_ok=True)
            (desk.media / name).write_bytes(bytes(range(pk)))
            rows.append(
                row(
                    "followupattachment",
                    pk,
                    followup=pk * 10,
                    file=name,
                    filename=f"bild ü {pk}.png",
                    mime_type="image/png",
                    size=pk,
                )
            )
            rows.append(row("ticketcc", pk, ticket=pk, email="copy@customer.example", can_view=True))
    return rows
