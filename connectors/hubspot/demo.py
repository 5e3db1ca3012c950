"""A made-up account: contacts of a company, tickets in two pipelines with e-mails, notes and files, workflows."""

from __future__ import annotations

from typing import Any

from migrator.testing.sandbox import Native, Sandbox

from .sandbox import BEGAN, seed

AT = "2026-03-01T10:{:02d}:{:02d}.000Z"
DATED: Native = {"createdAt": BEGAN, "updatedAt": BEGAN, "archived": False}


def fill(box: Sandbox, tickets: int = 9) -> Sandbox:
    """Put a small account into the sandbox."""
    _properties(box)
    seed(
        box,
        "owners",
        [
            {
                "id": str(n),
                "email": f"agent{n}@desk.example",
                "firstName": "Agent",
                "lastName": str(n),
                "archived": n == 4,
            }
            for n in (2, 3, 4)
        ],
    )
    seed(box, "owners", [{"id": "9", "email": "queue@desk.example", "type": "QUEUE"}])
    stage = {"id": "81", "label": "Doing", "displayOrder": 1, "metadata": {"ticketState": "CLOSED"}, **DATED}
    seed(box, "pipelines", [{"id": "80", "label": "Repairs", "displayOrder": 1, "stages": [stage], **DATED}])
    seed(box, "companies", [_record(70, {"name": "Acme", "domain": "acme.example", "tier": "gold"})])
    for n in range(1, 5):
        held = {"email": f"person{n}@people.example", "firstname": "Person", "lastname": str(n)}
        held |= {"associatedcompanyid": "70", "likes": "tea;milk"} if n < 3 else {}
        seed(box, "contacts", [_record(n, held)])
    for n in range(1, tickets + 1):
        _ticket(box, n)
    _flows(box)
    return box


def _record(id: int, properties: Native, beside: Native | None = None) -> Native:
    return {"id": str(id), "properties": properties, "_with": beside or {}, **DATED}


def _properties(box: Sandbox) -> None:
    own: dict[str, tuple[tuple[str, str, str, list[str]], ...]] = {
        "ticket": (("color", "enumeration", "select", ["red", "blue"]), ("serial", "string", "text", [])),
        "contact": (("likes", "enumeration", "checkbox", ["tea", "milk"]),),
        "company": (("tier", "enumeration", "radio", ["gold", "silver"]),),
    }
    for kind, some in own.items():
        system = ("subject" if kind == "ticket" else "name", "string", "text", list[str]())
        for at, (name, type, field, values) in enumerate((system, *some)):
            options = [
                {"label": one.title(), "value": one, "hidden": False, "displayOrder": n} for n, one in enumerate(values)
            ]
            seed(
                box,
                f"{kind}_properties",
                [
                    {
                        "name": name,
                        "label": name.title(),
                        "type": type,
                        "fieldType": field,
                        "description": "",
                        "groupName": "g",
                        "options": options,
                        "displayOrder": at,
                        "hubspotDefined": at == 0,
                        "formField": True,
                        **DATED,
                    },
                ],
            )


def _ticket(box: Sandbox, n: int) -> None:
    who, data = str(n % 4 + 1), b"bytes of %d" % n
    at: Native = (
        {"hs_pipeline": "80", "hs_pipeline_stage": "81"}
        if n == 5
        else {"hs_pipeline": "0", "hs_pipeline_stage": str(n % 4 + 1)}
    )
    held = {
        "subject": f"Question {n}",
        "content": f"Where is <order> {n}?\nSoon?",
        "hs_ticket_priority": "HIGH" if n % 2 else None,
        "source_type": "EMAIL",
        "hubspot_owner_id": "2" if n % 3 else None,
        "color": "red",
        "serial": f"A<{n}>",
        **at,
    }
    seed(box, "tickets", [_record(100 + n, held, {"contacts": [who], "companies": ["70"]})])
    seed(box, "files", [{"id": str(n), "name": f"file {n}", "extension": "txt", "body": data}])
    beside = {"tickets": [str(100 + n)], "contacts": [who]}
    mails: tuple[tuple[int, Native], ...] = (
        (0, {"hs_email_direction": "EMAIL", "hs_email_html": "<p>On its way.</p>", "hubspot_owner_id": "2"}),
        (2, {"hs_email_direction": "INCOMING_EMAIL", "hs_email_text": "Thanks & bye", "hubspot_owner_id": "2"}),
    )
    for place, mail in mails:
        more: dict[str, Any] = {
            "hs_timestamp": AT.format(n, place),
            "hs_attachment_ids": str(n) if place and n % 3 == 0 else None,
        }
        seed(box, "emails", [_record(n * 10 + place, {**mail, **more}, beside)])
    note = {"hs_note_body": "<p>He called.</p>", "hubspot_owner_id": "3", "hs_timestamp": AT.format(n, 1)}
    seed(box, "notes", [_record(n * 10 + 1, note, beside)])
    if n == 1:
        seed(box, "emails", [_record(9000, {"hs_email_html": "<p>Of a deal.</p>", "hs_timestamp": AT.format(0, 0)})])


def _flows(box: Sandbox) -> None:
    operation = {
        "operator": "IS_ANY_OF",
        "values": ["HIGH"],
        "includeObjectsWithNoValueSet": False,
        "operationType": "ENUMERATION",
    }
    asks = {"filterType": "PROPERTY", "property": "hs_ticket_priority", "operation": operation}
    every = {"filterBranchType": "AND", "filterBranchOperator": "AND", "filters": [asks], "filterBranches": []}
    some = {"filterBranchType": "OR", "filterBranchOperator": "OR", "filters": [], "filterBranches": [every]}
    sets = {"property_name": "hs_pipeline_stage", "value": {"staticValue": "3", "type": "STATIC_VALUE"}}
    action: Native = {"actionId": "1", "type": "SINGLE_CONNECTION", "actionTypeId": "0-5", "fields": sets}
    action |= {"actionTypeVersion": 0}
    for n in (1, 2):
        seed(
            box,
            "flows",
            [
                {
                    "id": f"70{n}",
                    "name": f"Flow {n}",
                    "isEnabled": n == 1,
                    "flowType": "WORKFLOW",
                    "objectTypeId": "0-5",
                    "revisionId": "1",
                    "type": "PLATFORM_FLOW",
                    "startActionId": "1",
                    "actions": [action],
                    "createdAt": BEGAN,
                    "updatedAt": BEGAN,
                    "enrollmentCriteria": {
                        "type": "LIST_BASED",
                        "shouldReEnroll": False,
                        "listFilterBranch": some,
                        "reEnrollmentTriggersFilterBranches": [],
                        "unEnrollObjectsNotMeetingCriteria": False,
                    },
                    "blockedDates": [],
                    "crmObjectCreationStatus": "COMPLETE",
                    "customProperties": {},
                    "dataSources": [],
                    "nextAvailableActionId": "2",
                    "timeWindows": [],
                },
            ],
        )
