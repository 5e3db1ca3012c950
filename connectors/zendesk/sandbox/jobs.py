"""Zendesk's background jobs: at most 30 queued or running, the last 100 remembered, for one hour."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from .answers import ACCOUNT_ID, Refused, address, id_list, not_found, reply, route

MAX_IN_FLIGHT = 30
REMEMBERED = 100
EXPIRES_SECONDS = 3_600

Work = Callable[[Native], Native]


def in_flight(box: Sandbox) -> int:
    """Return how many jobs are queued or running."""
    return sum(job["status"]["status"] in ("queued", "working") for job in box.state["jobs"].values())


def start(box: Sandbox, request: Request, kind: str, payloads: list[Native], work: Work) -> Response:
    """Queue a job that does ``work`` on each payload when its time has come, and answer its status."""
    if in_flight(box) >= MAX_IN_FLIGHT:
        text = "Too many jobs are currently queued or running. Try again later."
        response = reply({"error": "TooManyJobs", "description": text}, 429)
        response.headers["zendesk-ratelimit-inflight-jobs"] = f"total={MAX_IN_FLIGHT}; remaining=0; resets=60"
        response.headers["Retry-After"] = "5"
        return response
    number = box.next_id()
    name = "V3-" + hashlib.sha256(str(number).encode()).hexdigest()[:32]
    status: Native = {
        "id": name,
        "job_type": kind,
        "url": address(request, f"job_statuses/{name}.json"),
        "total": len(payloads),
        "progress": None,
        "status": "queued",
        "message": None,
        "results": None,
    }
    now = box.clock.now().timestamp()
    takes = box.state["job_seconds"]
    box.state["jobs"][name] = {
        "status": status,
        "from": now + takes / 2,
        "until": now + takes,
        "payloads": payloads,
        "work": work,
    }
    while len(box.state["jobs"]) > REMEMBERED:
        box.state["jobs"].pop(next(iter(box.state["jobs"])))
    return reply({"job_status": dict(status)})


def settle(box: Sandbox) -> None:
    """Do the jobs whose time has come; called before every answer."""
    now = box.clock.now().timestamp()
    for name, job in list(box.state["jobs"].items()):
        status = job["status"]
        if status["status"] in ("queued", "working"):
            if now >= job["until"]:
                _finish(box, job)
            elif now >= job["from"]:
                status.update(status="working", progress=max(1, len(job["payloads"]) // 2), message="Working")
        elif now > job["until"] + EXPIRES_SECONDS:
            box.state["jobs"].pop(name)


def _finish(box: Sandbox, job: dict[str, Any]) -> None:
    results: list[Native] = []
    for index, item in enumerate(job["payloads"]):
        try:
            results.append(job["work"](item) | ({"index": index} if job["status"]["job_type"] in INDEXED else {}))
        except Refused as refusal:
            text = refusal.body.get("description") or "Record validation errors"
            problems = refusal.body.get("details", {})
            details = "; ".join(problem["description"] for found in problems.values() for problem in found)
            results.append({"index": index, "error": refusal.body["error"], "details": details or text})
    when = box.clock.now().strftime("%Y-%m-%d %H:%M:%S +0000")
    count = len(job["payloads"])
    job["status"].update(status="completed", progress=count, message=f"Completed at {when}", results=results)
    job["payloads"] = []


INDEXED = ("Bulk Create Ticket", "Bulk Import Ticket")


def ticket_result(ticket: Native) -> Native:
    """Return a job's result for a created ticket, as recorded."""
    return {"id": ticket["id"], "account_id": ACCOUNT_ID}


@route("GET", "job_statuses/<name>")
def job_status(box: Sandbox, request: Request, name: str) -> Response:
    """Answer the state of a job."""
    job = box.state["jobs"].get(name.removesuffix(".json"))
    if job is None:
        raise not_found()
    return reply({"job_status": job["status"]})


@route("GET", "job_statuses/show_many")
def job_statuses(box: Sandbox, request: Request) -> Response:
    """Answer the states of several jobs."""
    jobs = box.state["jobs"]
    return reply({"job_statuses": [jobs[name]["status"] for name in id_list(request) if name in jobs]})


@route("GET", "job_statuses")
def all_job_statuses(box: Sandbox, request: Request) -> Response:
    """Answer the states of all remembered jobs."""
    return reply({"job_statuses": [job["status"] for job in reversed(box.state["jobs"].values())]})
