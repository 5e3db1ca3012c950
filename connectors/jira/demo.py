"""A made-up service project: customers in an organization, issues with comments and files, links, queues, rules."""

from __future__ import annotations

from typing import Any

from migrator.testing.sandbox import Native, Sandbox

from .sandbox import seed

AT = "2026-03-01T10:{:02d}:{:02d}.000+0000"
CUSTOM = "com.atlassian.jira.plugin.system.customfieldtypes:"


def fill(box: Sandbox, tickets: int = 9) -> Sandbox:
    """Put a small project into the sandbox."""
    _fields(box)
    seed(box, "organizations", [{"id": "1", "name": "Acme", "_links": {}}])
    seed(box, "users", [{"accountId": f"agent{n}", "displayName": f"Agent {n}", "emailAddress": f"agent{n}@desk.example"}
                        for n in (1, 2)])  # fmt: skip
    seed(box, "users", [{"accountId": "app1", "displayName": "Automation", "accountType": "app"}])
    for n in range(1, 5):
        seed(box, "users", [
            {"accountId": f"qm:{n}", "displayName": f"Person {n}", "emailAddress": f"person{n}@people.example",
             "accountType": "customer", **({"_organization": "1"} if n < 3 else {}), **({"_hidden": True} if n == 4 else {})},
        ])  # fmt: skip
    seed(box, "groups", [{"name": "second-line", "groupId": "g1"}])
    seed(
        box,
        "group_members",
        [{"accountId": "agent1", "displayName": "Agent 1", "accountType": "atlassian", "_parent": "g1"}],
    )
    seed(box, "request_types", [
        {"id": "7", "name": "Get help", "description": "", "helpText": "", "issueTypeId": "1", "serviceDeskId": "1",
         "_links": {}, "_fields": ["summary", "customfield_10100", "customfield_10101"]},
    ])  # fmt: skip
    for n in range(1, tickets + 1):
        _issue(box, n)
    _rules(box)
    return box


def _fields(box: Sandbox) -> None:
    about = {"orderable": True, "navigable": True, "searchable": True}
    seed(box, "fields", [{**about, "id": "summary", "key": "summary", "name": "Summary", "custom": False,
                          "clauseNames": ["summary"], "schema": {"type": "string", "system": "summary"}}])  # fmt: skip
    own = (("Color", "select", ["red", "blue"]), ("Serial", "textfield", []), ("Parts", "multicheckboxes", ["lid", "box"]),
           ("Needed", "datepicker", []))  # fmt: skip
    for id, (name, kind, choices) in enumerate(own, 10100):
        seed(box, "fields", [
            {**about, "id": f"customfield_{id}", "key": f"customfield_{id}", "name": name, "custom": True,
             "clauseNames": [f"cf[{id}]", name], "untranslatedName": name,
             "schema": {"type": "any", "custom": CUSTOM + kind, "customId": id}, "_choices": choices},
        ])  # fmt: skip


def _document(text: str) -> Native:
    return {
        "type": "doc",
        "version": 1,
        "content": [{"type": "paragraph", "content": [{"type": "text", "text": text}]}],
    }


def _person(id: str) -> Native:
    kind, name = ("customer", f"Person {id[3:]}") if id.startswith("qm:") else ("atlassian", id.title())
    email = f"person{id[3:]}@people.example" if kind == "customer" else f"{id}@desk.example"
    return {
        "accountId": id,
        "displayName": name,
        "emailAddress": email,
        "accountType": kind,
        "active": True,
        "timeZone": "UTC",
    }


def _issue(box: Sandbox, n: int) -> None:
    who, data = f"qm:{n % 4 + 1}", b"bytes of %d" % n
    names = (("Waiting for support", "indeterminate"), ("Waiting for customer", "indeterminate"), ("Done", "done"))
    status, category = names[n % 3]
    seed(box, "files", [{"id": str(n), "body": data, "type": "text/plain"}])
    file = {"id": str(n), "filename": f"file {n}.txt", "author": _person(who), "created": AT.format(n, 0), "size": len(data),
            "mimeType": "text/plain", "content": f"{box.base_url}/rest/api/3/attachment/content/{n}"}  # fmt: skip
    link = {"id": str(900 + n), "type": {"id": "1", "name": "Blocks", "inward": "is blocked by", "outward": "blocks"},
            "outwardIssue": {"id": str(10_000 + n - 1), "key": f"HELP-{n - 1}", "fields": {}}}  # fmt: skip
    values: dict[str, Any] = {
        "customfield_10100": {"value": "red", "id": "1"} if n % 2 else None,
        "customfield_10101": f"A<{n}>",
        "customfield_10102": [{"value": "lid", "id": "1"}, {"value": "box", "id": "2"}],
        "customfield_10103": "2026-04-01",
        "customfield_10200": {"_links": {}, "requestType": {"id": "7", "name": "Get help"}, "currentStatus": {}},
    }
    seed(box, "issues", [
        {"id": str(10_000 + n), "key": f"HELP-{n}", "self": "x", "expand": "", "renderedFields": {"description": f"<p>It broke, {n}.</p>"},
         "fields": {"summary": f"Question {n}", "description": _document(f"It broke, {n}."), "labels": ["vip"] if n % 2 else [],
                    "status": {"id": "1", "name": status, "statusCategory": {"id": 2, "key": category, "name": "x"}},
                    "priority": {"id": "2", "name": "High"}, "issuetype": {"id": "1", "name": "[System] Incident"},
                    "reporter": _person(who), "creator": _person(who), "assignee": _person("agent1") if n % 2 else None,
                    "project": {"id": "1", "key": "HELP"}, "created": AT.format(n, 0), "updated": AT.format(n, 30),
                    "attachment": [file] if n % 3 == 0 else [], "issuelinks": [link] if n in (2, 3) else [], **values}},
    ])  # fmt: skip
    for at, (public, author, text) in enumerate(
        ((True, "agent1", "On its way."), (False, "agent2", "He called."), (True, who, "Thanks!"))
    ):
        seed(box, "comments", [
            {"id": str(n * 10 + at), "author": _person(author), "updateAuthor": _person(author), "body": _document(text),
             "renderedBody": f"<p>{text}</p>", "created": AT.format(n, at + 1), "updated": AT.format(n, at + 1),
             "jsdPublic": public, "self": "x", "_parent": str(10_000 + n)},
        ])  # fmt: skip


def _rules(box: Sandbox) -> None:
    jql = 'project = HELP AND status = "Waiting for support" AND priority = High ORDER BY created DESC'
    seed(box, "queues", [
        {"id": "1", "name": "Urgent", "jql": jql, "fields": ["issuekey", "summary", "status"], "issueCount": 3, "_links": {}},
        {"id": "2", "name": "All", "jql": "project = HELP ORDER BY created ASC", "fields": ["issuekey"], "_links": {}},
    ])  # fmt: skip
    seed(
        box,
        "filters",
        [{"id": "5", "name": "Mine", "description": "", "jql": "assignee = agent1", "owner": _person("admin")}],
    )
    asks = {"component": "CONDITION", "type": "jira.issue.condition",
            "value": {"selectedField": {"type": "ID", "value": "priority"}, "comparison": "EQUALS",
                      "compareValue": {"type": "NAME", "value": "High", "multiValue": False}}}  # fmt: skip
    calls = {"component": "ACTION", "type": "jira.issue.outgoing.webhook",
             "value": {"url": "https://other.example/hook", "method": "POST",
                       "headers": [{"name": "Authorization", "value": "Basic bm90IHRvIGJlIGtlcHQ="}]}}  # fmt: skip
    for n, state in enumerate(("ENABLED", "DISABLED", "ENABLED"), 1):
        seed(box, "automation_rules", [
            {"uuid": f"rule-{n}", "name": f"Rule {n}", "state": state, "description": "",
             "trigger": {"component": "TRIGGER", "type": "jira.issue.event.trigger:created", "value": {}},
             "components": [asks, calls] if n == 1 else [asks]},
        ])  # fmt: skip
