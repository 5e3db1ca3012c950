"""Freshdesk's bulk jobs over tickets."""

from __future__ import annotations

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_rules as rules
from . import sandbox_tickets as tickets
from .sandbox_conversations import mail
from .sandbox_rules import API, Body, routes


def _job(box: Sandbox, request: Request) -> Response:
    id = f"{rules.fresh_id(box):032x}"
    box.state["jobs"][id] = "IN PROGRESS"
    return rules.answer({"job_id": id, "href": f"{request.host_url}api/v2/jobs/{id}"}, 202)


@routes("GET", f"{API}/jobs/<id>")
def job(box: Sandbox, request: Request, id: str) -> Response:
    """View a job: in progress when asked first, completed afterwards."""
    if id not in box.state["jobs"]:
        raise rules.missing()
    status, box.state["jobs"][id] = box.state["jobs"][id], "COMPLETED"
    return rules.answer({"id": id, "status": status})


def _bulk(box: Sandbox, request: Request) -> tuple[Native, list[Native]]:
    body = Body(request)
    body.only(["bulk_action"])
    action = body.values.get("bulk_action")
    if not isinstance(action, dict) or not action.get("ids"):
        raise rules.invalid(rules.error("ids", "Mandatory attribute missing", "missing_field"))
    return action, [box.store["tickets"][id] for id in action["ids"] if id in box.store["tickets"]]


@routes("POST", f"{API}/tickets/bulk_update")
def bulk_update(box: Sandbox, request: Request) -> Response:
    """Change several tickets, and reply to them; what fails in the background is not told."""
    action, found = _bulk(box, request)
    checks = {k: v for k, v in tickets.checks_of(box).items() if k not in ("subject", "description", "attachments")}
    extra = {"from_email": rules.text(), "skip_close_notification": rules.boolean}
    for record in found:
        body = Body(request)
        body.values = action.get("properties") or {}
        body.only([*checks, *extra])
        try:
            tickets.update(box, record, body, checks)
        except rules.Refusal:
            continue
        if (action.get("reply") or {}).get("body"):
            mail(box, record, action["reply"]["body"])
    return _job(box, request)


@routes("POST", f"{API}/tickets/bulk_delete")
def bulk_delete(box: Sandbox, request: Request) -> Response:
    """Delete several tickets softly."""
    for record in _bulk(box, request)[1]:
        if not record.get("deleted") and not record.get("spam"):
            tickets.delete(box, record)
    return _job(box, request)
