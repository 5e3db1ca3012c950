"""A made-up account: people, conversations beyond a page, notes, files, what was done, saved replies, workflows."""

from __future__ import annotations

from migrator.testing.sandbox import Native, Sandbox

from .sandbox import seed

DAY = "2026-03-01T10:{:02d}:{:02d}Z"


def fill(box: Sandbox, tickets: int = 27) -> Sandbox:
    """Put a small account into the sandbox."""
    dated = {"createdAt": DAY.format(0, 0), "updatedAt": DAY.format(0, 0)}
    seed(box, "users", [{"id": n, "firstName": "Agent", "lastName": str(n), "email": f"agent{n}@desk.example", "role": "user"}
                        for n in (2, 3)])  # fmt: skip
    seed(box, "teams", [{"id": 50, "name": "Second line", "timezone": "UTC", **dated}])
    seed(box, "team_members", [{"id": n, "firstName": "Agent", "lastName": str(n), "_parent": 50} for n in (2, 3)])
    seed(box, "mailboxes", [{"id": 2, "name": "Sales", "slug": "0b", "email": "sales@shop.example", **dated}])
    options = [{"id": 168, "order": 1, "label": "IPA"}, {"id": 170, "order": 2, "label": "Stout"}]
    seed(box, "fields", [
        {"id": 104, "required": False, "order": 1, "type": "dropdown", "name": "Beers", "options": options, "_parent": 1},
        {"id": 105, "required": True, "order": 2, "type": "singleline", "name": "Order", "_parent": 1},
        {"id": 106, "required": False, "order": 1, "type": "date", "name": "Due", "_parent": 2},
    ])  # fmt: skip
    seed(box, "customer_properties", [{"type": "text", "slug": "car", "name": "Car"}])
    seed(box, "organizations", [{"id": 35, "name": "Acme", "domains": ["acme.example"], "note": "big", **dated}])
    seed(box, "tags", [{"id": 9150, "name": "vip", "slug": "vip", "color": "red", "ticketCount": 3, **dated}])
    for n in range(1, 6):
        _customer(box, n)
    for n in range(1, tickets + 1):
        _conversation(box, n)
    _customizations(box)
    return box


def _customer(box: Sandbox, n: int) -> None:
    car = {"type": "text", "slug": "car", "name": "Car", "value": "Tesla", "text": "Tesla", "source": {"name": "api"}}
    held = {"emails": [{"id": n, "value": f"person{n}@people.example", "type": "home"}] if n < 5 else [],
            "phones": [{"id": n, "value": "123-123", "type": "home"}], "chats": [], "social_profiles": [], "websites": [],
            "properties": [car] if n == 1 else []}  # fmt: skip
    seed(box, "customers", [
        {"id": n, "firstName": "Person", "lastName": str(n), "gender": "unknown", "jobTitle": "CEO" if n == 1 else "",
         "organizationId": 35 if n < 3 else None, "conversationCount": 2, "createdAt": DAY.format(1, n),
         "updatedAt": DAY.format(1, n), "background": "nice", "draft": False, "_embedded": held, "_links": {}},
    ])  # fmt: skip


def _conversation(box: Sandbox, n: int) -> None:
    who = n % 5 + 1
    customer = {
        "id": who,
        "type": "customer",
        "first": "Person",
        "last": str(who),
        "email": f"person{who}@people.example",
    }
    user = {"id": 2, "type": "user", "first": "Agent", "last": "2", "email": "agent2@desk.example"}
    team = {"id": 50, "type": "team", "first": "Second line", "last": "", "email": ""}
    fields: list[Native] = [{"id": 104, "name": "Beers", "value": "170", "text": "Stout"}] if n % 2 else []
    more: Native = {"assignee": (user, team, None)[n % 3]} if n % 3 < 2 else {}
    status, state = ("active", "closed", "pending", "spam")[0 if n > 4 else n - 1], "published"
    seed(box, "conversations", [
        {"id": 100 + n, "number": n, "threads": 3, "type": "email", "folderId": 1, "status": status, "state": state,
         "subject": f"Question {n}", "preview": "…", "mailboxId": 1, "createdBy": customer, "createdAt": DAY.format(n, 0),
         "userUpdatedAt": DAY.format(n, 30), "source": {"type": "email", "via": "customer"},
         "tags": [{"id": 9150, "color": "red", "tag": "vip"}] if n % 2 else [], "cc": [], "bcc": [],
         "primaryCustomer": {**customer}, "customFields": fields, "_embedded": {"threads": []}, "_links": {}, **more},
    ])  # fmt: skip
    data = b"bytes of %d" % n
    seed(box, "files", [{"id": n, "body": data}])
    file = {"id": n, "filename": f"file {n}.txt", "mimeType": "text/plain", "size": len(data), "width": 0, "height": 0,
            "_links": {"data": {"href": f"{box.base_url}/v2/conversations/{100 + n}/attachments/{n}/data"}}}  # fmt: skip
    told: tuple[tuple[str, str, str | None, Native], ...] = (
        ("customer", "published", f"<p>Where is order {n}?</p>", customer),
        ("note", "published", "<p>He called.</p>", user),
        ("lineitem", "published", None, user),
        ("message", "published", "<p>On its way.</p>", user),
        ("message", "draft", "<p>Not sent</p>", user),
    )
    for at, (kind, state, body, author) in enumerate(told):
        action = (
            {"type": "default", "text": "Agent 2 closed it", "associatedEntities": {}} if kind == "lineitem" else {}
        )
        seed(box, "threads", [
            {"id": n * 10 + at, "type": kind, "status": "active", "state": state, "action": action, "body": body,
             "source": {"type": "web", "via": "user"}, "customer": customer, "createdBy": author, "createdAt": DAY.format(n, at),
             "to": [], "cc": [], "bcc": [], "_embedded": {"attachments": [file] if kind == "note" and n % 9 == 0 else []},
             "_links": {}, "_parent": 100 + n},
        ])  # fmt: skip


def _customizations(box: Sandbox) -> None:
    text = "<p>Hi {%customer.firstName,fallback=there%}, it is on its way.</p>"
    seed(box, "saved_replies", [
        {"id": 1, "name": "On its way", "text": text, "_parent": 1},
        {"id": 2, "name": "Chat hello", "text": "", "chatText": "Hello!", "_parent": 1},
    ])  # fmt: skip
    dated = {"createdAt": "2026-01-01T00:00:00Z", "modifiedAt": "2026-01-01T00:00:00Z"}
    seed(box, "workflows", [
        {"id": n, "mailboxId": 1, "type": kind, "status": status, "order": n, "name": name, **dated}
        for n, (kind, status, name) in enumerate(
            (("automatic", "active", "Escalate"), ("manual", "active", "Refund"), ("automatic", "inactive", "Old")), 1)
    ])  # fmt: skip
    seed(box, "webhooks", [
        {"id": 1, "url": "https://other.example/hook", "state": "enabled", "events": ["convo.created"], "label": "Warehouse",
         "notification": False, "payloadVersion": "V2", "secret": "not to be kept"},
    ])  # fmt: skip
