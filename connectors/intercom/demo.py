"""A made-up workspace: people, conversations with notes, files and what was done, tickets of a type, macros, hours."""

from __future__ import annotations

from migrator.testing.sandbox import Native, Sandbox

from .sandbox import seed

BEGAN = 1_750_000_000


def fill(box: Sandbox, tickets: int = 9) -> Sandbox:
    """Put a small workspace into the sandbox."""
    seed(box, "admins", [{"id": str(n), "name": f"Agent {n}", "email": f"agent{n}@desk.example", "team_ids": [7]}
                         for n in (11, 12)])  # fmt: skip
    seed(box, "teams", [{"type": "team", "id": "7", "name": "Support", "admin_ids": [11, 12]}])
    seed(box, "tags", [{"type": "tag", "id": str(n), "name": f"tag{n}"} for n in range(1, 13)])
    seed(box, "emails", [{"type": "email_setting", "id": "5", "email": "help@shop.example", "verified": True}])
    _attributes(box)
    _people(box)
    for n in range(1, tickets + 1):
        _conversation(box, n)
    _tickets(box)
    _customizations(box)
    return box


def _attributes(box: Sandbox) -> None:
    made = {"type": "data_attribute", "api_writable": True, "ui_writable": True, "messenger_writable": False,
            "archived": False, "created_at": BEGAN, "updated_at": BEGAN, "description": ""}  # fmt: skip
    for model in ("contact", "company"):
        system = {
            **made,
            "model": model,
            "name": "name",
            "full_name": "name",
            "label": "Name",
            "data_type": "string",
            "custom": False,
        }
        own = [("Level", "string", {"options": ["gold", "silver"]}), ("Since", "date", {}), ("Seats", "integer", {})]
        listed = [
            {**made, "id": at, "model": model, "name": name, "full_name": f"custom_attributes.{name}",
             "label": f"{name} of {model}", "data_type": kind, "custom": True, **more}
            for at, (name, kind, more) in enumerate(own, 40 if model == "contact" else 50)
        ]  # fmt: skip
        seed(box, f"{model}_attributes", [system, *listed])
    about = {"type": "conversation_attribute", "description": "", "required": False, "visible_to_team_ids": [],
             "archived": False, "created_at": BEGAN, "updated_at": BEGAN, "admin_id": "11"}  # fmt: skip
    options = [{"id": f"o{n}", "label": label, "archived": False} for n, label in enumerate(("Billing", "Shipping"))]
    seed(box, "conversation_attributes", [
        {**about, "id": 1, "name": "Topic", "data_type": "list", "options": options},
        {**about, "id": 2, "name": "Order", "data_type": "string", "multiline": False},
    ])  # fmt: skip
    names = (
        (1, "_default_title_", "string", True),
        (2, "Serial number", "string", False),
        (3, "Bought", "datetime", False),
    )
    attributes = [
        {"type": "ticket_type_attribute", "id": str(id), "workspace_id": "w", "name": name, "description": "",
         "data_type": kind, "input_options": {}, "order": id, "required_to_create": default, "default": default,
         "required_to_create_for_contacts": False, "visible_on_create": True, "visible_to_contacts": True,
         "ticket_type_id": 3, "archived": False, "created_at": BEGAN, "updated_at": BEGAN}
        for id, name, kind, default in names
    ]  # fmt: skip
    held = {"type": "list", "ticket_type_attributes": attributes}
    seed(box, "ticket_types", [
        {"type": "ticket_type", "id": "3", "category": "Customer", "name": "Repair", "description": "", "icon": "🔧",
         "workspace_id": "w", "ticket_type_attributes": held, "ticket_states": {"type": "list", "data": []},
         "archived": False, "created_at": BEGAN, "updated_at": BEGAN},
    ])  # fmt: skip


def _people(box: Sandbox) -> None:
    for n in (1, 2):
        seed(box, "companies", [
            {"type": "company", "id": f"firm{n}", "company_id": str(n), "app_id": "a", "name": f"Firm {n}", "plan": {},
             "created_at": BEGAN, "updated_at": BEGAN, "website": f"firm{n}.example", "monthly_spend": 0,
             "session_count": 0, "user_count": 2, "tags": {"type": "tag.list", "tags": []},
             "segments": {"type": "segment.list", "segments": []}, "custom_attributes": {"Level": "gold"}},
        ])  # fmt: skip
    for n in range(1, 6):
        values: Native = {"Level": "gold", "Since": BEGAN} if n % 2 else {}
        seed(box, "contacts", [
            {"type": "contact", "id": f"c{n:023d}", "workspace_id": "w", "external_id": f"x{n}", "role": "user",
             "email": f"person{n}@people.example", "phone": None, "name": f"Person {n}" if n < 5 else None,
             "created_at": BEGAN + n, "updated_at": BEGAN + n, "language_override": None, "custom_attributes": values,
             "_tags": [str(t) for t in range(1, 13 if n == 1 else 2)], "_companies": ["firm1"] if n < 3 else []},
        ])  # fmt: skip


def _conversation(box: Sandbox, n: int) -> None:
    who = f"c{n % 5 + 1:023d}"
    person = {"type": "user", "id": who, "name": f"Person {n % 5 + 1}", "email": "p@people.example"}
    agent = {"type": "admin", "id": "11", "name": "Agent 11", "email": "agent11@desk.example"}
    files = []
    if n % 3 == 0:
        seed(box, "files", [{"id": f"f{n}", "body": b"bytes of %d" % n, "type": "text/plain"}])
        files = [{"type": "upload", "name": f"file {n}.txt", "url": f"{box.base_url}/files/f{n}",
                  "content_type": "text/plain", "filesize": len(b"bytes of %d" % n)}]  # fmt: skip
    tags = [
        {"type": "tag", "id": "2", "name": "tag2", "applied_at": BEGAN, "applied_by": {"type": "admin", "id": "11"}}
    ]
    rated = {"rating": 5, "remark": "Thanks", "created_at": BEGAN, "contact": {"type": "contact", "id": who},
             "teammate": {"type": "admin", "id": "11"}}  # fmt: skip
    seed(box, "conversations", [
        {"type": "conversation", "id": str(100 + n), "title": f"Question {n}" if n % 2 else None,
         "created_at": BEGAN + n * 60, "updated_at": BEGAN + n * 60 + 40, "waiting_since": None, "snoozed_until": None,
         "open": n % 3 != 1, "state": ("snoozed", "closed", "open")[n % 3], "read": True, "priority": "not_priority",
         "admin_assignee_id": 11 if n % 2 else None, "team_assignee_id": 7, "company": None,
         "tags": {"type": "tag.list", "tags": tags if n % 2 else []}, "conversation_rating": rated if n == 2 else None,
         "source": {"type": "email" if n % 2 else "conversation", "id": f"s{n}", "delivered_as": "customer_initiated",
                    "subject": f"Subject {n}", "body": f"<p>Where is order {n}?</p>", "author": person,
                    "attachments": files, "url": None, "redacted": False},
         "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": who, "external_id": "x"}]},
         "teammates": {"type": "admin.list", "teammates": []}, "custom_attributes": {"Topic": "Billing"}},
    ])  # fmt: skip
    part = {
        "type": "conversation_part",
        "assigned_to": None,
        "external_id": None,
        "redacted": False,
        "_parent": str(100 + n),
    }
    for at, (kind, body, author) in enumerate(
        (("comment", "<p>On its way.</p>", agent), ("note", "<p>He called.</p>", agent), ("close", None, agent),
         ("comment", "<p>Thank you!</p>", person))
    ):  # fmt: skip
        when = BEGAN + n * 60 + at * 10
        seed(box, "conversation_parts", [
            {**part, "id": str(1000 * n + at), "part_type": kind, "body": body, "author": author, "created_at": when,
             "updated_at": when, "notified_at": when, "attachments": files if kind == "note" else []},
        ])  # fmt: skip


def _tickets(box: Sandbox) -> None:
    agent = {"type": "admin", "id": "12", "name": "Agent 12", "email": "agent12@desk.example"}
    for n, category in enumerate(("submitted", "in_progress", "waiting_on_customer", "resolved"), 1):
        who = [{"type": "contact", "id": f"c{m:023d}", "external_id": f"x{m}"} for m in (n, 5)]
        values = {"_default_title_": f"Repair {n}", "_default_description_": f"It broke.\nTwice, {n}.", "Serial number": "A<1>",
                  "Bought": BEGAN}  # fmt: skip
        state = {
            "type": "ticket_state",
            "id": str(n),
            "category": category,
            "internal_label": category,
            "external_label": "",
        }
        seed(box, "tickets", [
            {"type": "ticket", "id": str(500 + n), "ticket_id": str(n), "category": "Customer", "ticket_attributes": values,
             "ticket_state": state, "contacts": {"type": "contact.list", "contacts": who}, "admin_assignee_id": 12,
             "team_assignee_id": 0, "created_at": BEGAN + n, "updated_at": BEGAN + n, "open": True, "is_shared": True,
             "_type": "3"},
        ])  # fmt: skip
        part = {"type": "ticket_part", "author": agent, "assigned_to": None, "attachments": [], "external_id": None,
                "redacted": False, "created_at": BEGAN + n + 5, "updated_at": BEGAN + n + 5, "_parent": str(500 + n)}  # fmt: skip
        seed(box, "ticket_parts", [
            {**part, "id": str(9000 + n), "part_type": "comment", "body": "<p>Send it in.</p>"},
            {**part, "id": str(9100 + n), "part_type": "ticket_state_updated_by_admin", "body": None},
        ])  # fmt: skip


def _customizations(box: Sandbox) -> None:
    week = [{"start_minute": day * 1440 + 540, "end_minute": day * 1440 + 1020, "day_of_week": day} for day in range(5)]
    seed(box, "office_hours", [
        {"type": "office_hours_schedule", "id": "1", "name": "Support hours", "time_zone_name": "Europe/Berlin",
         "time_intervals": week, "twenty_four_seven": False, "created_at": BEGAN, "updated_at": BEGAN},
    ])  # fmt: skip
    seed(box, "exceptions", [
        {"type": "office_hours_exception", "id": "1", "office_hours_schedule_id": "1", "exception_date": "2026-12-25",
         "exception_type": "closed", "name": "Christmas", "time_intervals": [], "recurring_annually": False,
         "created_at": BEGAN, "updated_at": BEGAN, "_parent": "1"},
    ])  # fmt: skip
    texts = (
        '<p>Hi <attribute key="user.name" default="there"/>, it is on its way.</p>',
        "<p>Please send the <b>bill</b>.</p>",
    )
    for n, body in enumerate(texts, 1):
        seed(box, "macros", [
            {"type": "macro", "id": str(n), "name": f"Macro {n}", "body": body, "body_text": "…", "visible_to": "everyone",
             "visible_to_team_ids": [], "available_on": ["inbox", "messenger"], "created_at": "2026-01-01T00:00:00.000Z",
             "updated_at": "2026-01-01T00:00:00.000Z"},
        ])  # fmt: skip
    seed(box, "workflows", [
        {"id": "67890", "title": "Greet", "description": "", "trigger_type": "inbound_conversation", "state": "live",
         "target_channels": ["chat"], "preferred_devices": ["desktop"], "created_at": "2026-01-01T00:00:00Z",
         "updated_at": "2026-01-01T00:00:00Z", "targeting": {}, "snapshot": {}, "attributes": [], "embedded_rules": []},
    ])  # fmt: skip
    seed(box, "collections", [
        {"id": "80", "workspace_id": "w", "name": "Returns", "description": "", "url": None, "icon": "book", "order": 1,
         "created_at": BEGAN, "updated_at": BEGAN, "parent_id": None, "help_center_id": 1},
    ])  # fmt: skip
    seed(box, "articles", [
        {"id": "90", "type": "article", "workspace_id": "w", "title": "Send it back", "description": "How", "body": "<p>…</p>",
         "author_id": 11, "state": "published", "created_at": BEGAN, "updated_at": BEGAN, "url": None, "parent_ids": [80]},
    ])  # fmt: skip
