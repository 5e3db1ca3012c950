"""Planning tickets one by one, in a loop over pydantic models."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from _measure import timed
from _planning_desk import CHANNELS, PRIORITIES, STATUS_CODES, STATUSES, TYPE_WORDS, TYPES
from pydantic import BaseModel

from migrator.stage import Stage

CODES = {word: code for code, word in STATUS_CODES.items()}
SORTS = {ours: theirs for theirs, ours in TYPE_WORDS.items()}
LEVELS = {code: word for word, code in PRIORITIES.items()}
THEIR_CHANNELS = {1: "email", 2: "web", 3: "phone", 7: "chat"}


class Via(BaseModel):
    """How a ticket came."""

    channel: str | None = None


class Theirs(BaseModel):
    """A ticket as Zendesk gives it."""

    id: int
    raw_subject: str | None
    subject: str | None
    custom_status_id: int | None
    status: str
    priority: str | None
    type: str | None
    via: Via
    requester_id: int
    submitter_id: int | None
    assignee_id: int | None
    group_id: int | None
    organization_id: int | None
    email_cc_ids: list[int]
    follower_ids: list[int]
    ticket_form_id: int | None
    brand_id: int | None
    problem_id: int | None
    tags: list[str]
    recipient: str | None
    due_at: datetime | None
    external_id: str | None
    created_at: datetime
    updated_at: datetime


class Canonical(BaseModel):
    """A ticket in nobody's words."""

    id: str
    subject: str | None = None
    status: str | None = None
    priority: str | None = None
    type: str | None = None
    channel: str | None = None
    requester: str | None = None
    submitter: str | None = None
    assignee: str | None = None
    group: str | None = None
    organization: str | None = None
    ccs: list[str] | None = None
    followers: list[str] | None = None
    form: str | None = None
    brand: str | None = None
    custom_status: str | None = None
    problem: str | None = None
    service: str | None = None
    sla: str | None = None
    tags: list[str] | None = None
    recipient: str | None = None
    due_at: datetime | None = None
    external_id: str | None = None
    deleted: bool | None = None
    spam: bool | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Ours(BaseModel):
    """A ticket as Freshdesk takes it."""

    subject: str
    status: int
    priority: int
    type: str | None
    source: int
    requester_id: str
    responder_id: str | None
    group_id: str | None
    company_id: str | None
    product_id: str | None = None
    tags: list[str] | None
    id: str


@dataclass(frozen=True)
class Arrivals:
    """What arrives around the tickets: ids by kind, and each contact's company."""

    ids: dict[str, set[str]]
    company: dict[str, str]

    @classmethod
    def of(cls, stage: Stage) -> Arrivals:
        """Read them."""
        ids: dict[str, set[str]] = {}
        for kind, id in stage.rows("SELECT kind, id FROM plan.decided WHERE action = 'create'"):
            ids.setdefault(kind, set()).add(id)
        return cls(ids, dict(stage.rows("SELECT id, organization FROM predicted.contact")))


def _text(value: int | None) -> str | None:
    return str(value) if value is not None else None


def _listed(values: list[Any]) -> list[str] | None:
    return sorted({str(value) for value in values}) or None


def canonical(theirs: Theirs) -> Canonical:
    """Read a ticket of Zendesk's."""
    return Canonical(
        id=str(theirs.id),
        subject=theirs.raw_subject or theirs.subject or None,
        status=STATUSES.get(str(theirs.custom_status_id)),
        priority=theirs.priority if theirs.priority in PRIORITIES else None,
        type=TYPES.get(theirs.type or ""),
        channel=theirs.via.channel,
        requester=_text(theirs.requester_id),
        submitter=_text(theirs.submitter_id),
        assignee=_text(theirs.assignee_id),
        group=_text(theirs.group_id),
        organization=_text(theirs.organization_id),
        ccs=_listed(theirs.email_cc_ids),
        followers=_listed(theirs.follower_ids),
        form=_text(theirs.ticket_form_id),
        brand=_text(theirs.brand_id),
        custom_status=_text(theirs.custom_status_id),
        problem=_text(theirs.problem_id),
        tags=_listed(theirs.tags),
        recipient=theirs.recipient,
        due_at=theirs.due_at,
        external_id=theirs.external_id,
        deleted=theirs.status == "deleted",
        created_at=theirs.created_at,
        updated_at=theirs.updated_at,
    )


def payload(was: Canonical, arrives: Arrivals) -> Ours:
    """Make what Freshdesk takes of a ticket."""
    return Ours(
        subject=(was.subject or "").strip()[:255].rstrip() or "(no subject)",
        status=CODES.get(was.status or "", 2),
        priority=PRIORITIES.get(was.priority or "", 1),
        type=SORTS.get(was.type or "", was.type),
        source=CHANNELS.get(was.channel or "", 2),
        requester_id=was.requester or "",
        responder_id=was.assignee if was.assignee in arrives.ids["agent"] else None,
        group_id=was.group if was.group in arrives.ids["group"] else None,
        company_id=arrives.company.get(was.requester or ""),
        tags=[tag[:32] for tag in was.tags] if was.tags else None,
        id=was.id,
    )


def prediction(payload: Ours) -> Canonical:
    """Say what will be read back."""
    return Canonical(
        id=payload.id,
        subject=payload.subject,
        status=STATUS_CODES.get(payload.status),
        priority=LEVELS.get(payload.priority),
        type=TYPE_WORDS.get(payload.type or "", payload.type),
        channel=THEIR_CHANNELS.get(payload.source),
        requester=payload.requester_id,
        assignee=payload.responder_id,
        group=payload.group_id,
        organization=payload.company_id,
        tags=_listed(payload.tags or []),
    )


def loop(folder: Path) -> None:
    """Take the tickets one by one; what comes out is counted and thrown away."""
    with Stage(folder / "desk.duckdb", read_only=True) as stage:
        arrives = Arrivals.of(stage)
        people = arrives.ids["contact"] | arrives.ids["agent"]
        sizes: list[int] = []

        def work() -> dict[str, Any]:
            rows = size = predicted = 0
            for (body,) in stage.stream("SELECT CAST(body AS VARCHAR) FROM raw.tickets"):
                rows += 1
                was = canonical(Theirs.model_validate_json(body))
                if was.requester not in people:
                    continue
                made = payload(was, arrives)
                size += len(orjson.dumps(made.model_dump()))
                predicted += prediction(made).id == was.id
            sizes.append(size)
            return {"rows": rows, "written": predicted}

        timed(work)
        (folder / "made.json").write_text(json.dumps({"bytes of payloads": sizes[0]}), encoding="utf-8")
