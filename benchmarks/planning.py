"""Planning tickets: the SQL that mappings compile to, the same written by hand, and a loop over pydantic.

A million staged tickets of about 2 KB, shaped like Zendesk's, become canonical records, their references are
resolved, the payloads for Freshdesk are made, and what will be read back is predicted. Two value maps have 50
entries each. The hand-written SQL makes the same tables; their hashes must be equal. The loop makes the same records
and throws them away.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _measure
from _measure import ROOT, Aim, Run, cpu_seconds, median, publish, run, scaled, table, timed

if TYPE_CHECKING:
    from migrator.registry import Connector
    from migrator.stage import Stage

sys.path.insert(0, str(ROOT))

ENTRIES = 50
STATUSES = {str(1_900_000 + n): f"status {n:02}" for n in range(ENTRIES)}  # Zendesk's custom statuses, to our words
TYPES = {f"Type {n:02}": f"type {n:02}" for n in range(ENTRIES)}
STATUS_CODES = {n + 2: f"status {n:02}" for n in range(ENTRIES)}  # Freshdesk's, to our words
TYPE_WORDS = {f"Sort {n:02}": f"type {n:02}" for n in range(ENTRIES)}
PRIORITIES = {"low": 1, "normal": 2, "high": 3, "urgent": 4}
CHANNELS = {"web": 2, "email": 1, "api": 2, "voice": 3, "native_messaging": 7}
TITLES = {
    "compiled": "migrator: the mapping, compiled",
    "by_hand": "SQL by hand",
    "loop": "a loop: pydantic in, dicts, pydantic out, orjson",
    "whole": "migrator: the whole plan (`Planner.make`: decisions, losses and digest too)",
}
TABLES = ("canonical.ticket", "native.made", "predicted.ticket")

# ---- the data -------------------------------------------------------------------------------------------------------

PIECES = (
    """'{"url":"https://acme.zendesk.com/api/v2/tickets/' || i || '.json","id":' || i || ',"external_id":null'""",
    """',"via":{"channel":"' || ['web', 'email', 'api', 'voice', 'native_messaging'][1 + h % 5]""",
    """'","source":{"from":{"address":"p' || person || '@example.com"},"to":{},"rel":null}},"created_at":"' || made""",
    """'","updated_at":"' || made || '","generated_timestamp":' || 1700000000 + i""",
    """',"type":"Type ' || lpad(CAST(h % 50 AS VARCHAR), 2, '0')""",
    """'","subject":"' || m || '","raw_subject":"Re: ' || m""",
    """'","description":"' || repeat(m || ' ', 12)""",
    """'","priority":' || ['"low"', '"normal"', '"high"', '"urgent"', 'null'][1 + h % 5] || ',"status":"open"'""",
    """',"recipient":"support@acme.example","requester_id":' || person || ',"submitter_id":' || person""",
    """',"assignee_id":' || 100000 + h % 500 || ',"organization_id":' || 700000 + h % 5000""",
    """',"group_id":' || 50000 + h % 50 || ',"collaborator_ids":[],"follower_ids":[' || 100000 + h % 500""",
    """'],"email_cc_ids":[' || person || '],"forum_topic_id":null,"problem_id":null,"has_incidents":false'""",
    """',"is_public":true,"due_at":null,"tags":["' || substr(m, 1, 5) || '","vip","' || substr(m, 6, 4)""",
    """'"],"custom_fields":' || custom || ',"satisfaction_rating":{"score":"unoffered"},"sharing_agreement_ids":[]'""",
    """',"custom_status_id":' || 1900000 + h // 7 % 50 || ',"encoded_id":"' || substr(m, 1, 12)""",
    """'","fields":' || custom""",
    """',"followup_ids":[],"ticket_form_id":360001,"brand_id":360002,"allow_channelback":false'""",
    """',"allow_attachments":true,"from_messaging_channel":false,"support_type":"agent","result_type":"ticket"'""",
    """',"satisfaction_probability":null,"metric_set":null,"slas":null'""",
    """',"dates":{"assignee_updated_at":"' || made || '"}}'""",
)
VALUES = ("'\"' || substr(m, 3, 8) || '\"'", "'\"' || h % 1000 || '\"'", "['true', 'false'][1 + h % 2]", "'null'")
CUSTOM = " || ',' || ".join(f"""'{{"id":{36000000 + n},"value":' || {VALUES[n % 4]} || '}}'""" for n in range(12))
TICKETS = f"""
SELECT CAST(i AS VARCHAR) AS id, made AS updated_at, {" || ".join(PIECES)} AS body
FROM (SELECT *, '[' || {CUSTOM} || ']' AS custom, 900000000 + h % {{people}} AS person FROM (
    SELECT i, CAST(hash(i) % 1000000007 AS BIGINT) AS h, md5(CAST(i AS VARCHAR)) AS m,
    strftime(TIMESTAMP '2020-01-01' + to_seconds(i * 61), '%Y-%m-%dT%H:%M:%SZ') AS made FROM range(1, {{end}}) AS t(i)))
"""


def prepare(folder: Path, count: int, people: int) -> None:
    """Stage the tickets, and the people, groups and organizations around them, of whom some do not arrive."""
    from migrator.decide import DECIDED
    from migrator.stage import Stage

    with Stage(folder / "desk.duckdb") as stage:
        relation = stage.raw("raw", "tickets")
        tickets = TICKETS.replace("{people}", str(people)).replace("{end}", str(count + 1))
        stage.run(f"INSERT INTO {relation} BY NAME {tickets}")
        stage.schema("plan", "predicted", "native")
        stage.run(f"CREATE TABLE plan.decided ({DECIDED})")
        stage.run(
            "CREATE TABLE plan.known (kind VARCHAR, id VARCHAR, target VARCHAR, as_kind VARCHAR, variant VARCHAR)"
        )
        stage.run("CREATE TABLE plan.unselected (kind VARCHAR, id VARCHAR, as_kind VARCHAR, reason VARCHAR)")
        for kind, first, number, gone in (
            ("contact", 900_000_000, people, 50),
            ("agent", 100_000, 500, 25),
            ("group", 50_000, 50, 10),
            ("organization", 700_000, 5_000, 100),
        ):
            stage.run(
                f"INSERT INTO plan.decided (kind, id, as_kind, action) "
                f"SELECT '{kind}', CAST({first} + i AS VARCHAR), '{kind}', "
                f"CASE WHEN i % {gone} = 0 THEN 'skip' ELSE 'create' END FROM range({number}) AS t(i)"
            )
        stage.run(
            "CREATE TABLE predicted.contact AS "
            "SELECT id, CAST(700000 + CAST(id AS BIGINT) % 5000 AS VARCHAR) AS organization "
            "FROM plan.decided WHERE kind = 'contact' AND action = 'create'"
        )


# ---- migrator -------------------------------------------------------------------------------------------------------


def connectors() -> tuple[Connector, Connector]:
    """Return Zendesk and Freshdesk for one customer: 50 statuses and 50 types of its own, and no custom fields."""
    from dataclasses import replace

    from migrator.mapping import Mapping, Verb
    from migrator.registry import connector

    def changed(mapping: Mapping, verbs: dict[str, dict[str, Any]]) -> Mapping:
        (ticket,) = mapping.kinds["ticket"]
        fields = {label: verb for label, verb in ticket.fields.items() if label != "custom"}
        fields |= {label: Verb.model_validate(verb) for label, verb in verbs.items()}
        return mapping.model_copy(
            update={"kinds": {**mapping.kinds, "ticket": (ticket.model_copy(update={"fields": fields}),)}}
        )

    source, destination = connector("zendesk"), connector("freshdesk")
    source = replace(
        source,
        mapping=changed(
            source.mapping,
            {"status": {"path": "custom_status_id", "values": STATUSES}, "type": {"path": "type", "values": TYPES}},
        ),
    )
    writes = []
    for write in destination.manifest.writes:
        if write.kind == "ticket":
            taken = write.fields["type"].model_copy(update={"one_of": ()})
            write = write.model_copy(update={"fields": {**write.fields, "type": taken}})
        writes.append(write)
    destination = replace(
        destination,
        manifest=destination.manifest.model_copy(update={"writes": tuple(writes)}),
        mapping=changed(
            destination.mapping,
            {"status": {"path": "status", "values": STATUS_CODES}, "type": {"path": "type", "values": TYPE_WORDS}},
        ),
    )
    return source, destination


class Clock:
    """Seconds and CPU seconds by step."""

    def __init__(self) -> None:
        """Start with no steps."""
        self.steps: dict[str, tuple[float, float]] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Time one step."""
        began, used = time.monotonic(), cpu_seconds()
        yield
        self.steps[step] = round(time.monotonic() - began, 2), round(cpu_seconds() - used, 2)


def compiled(folder: Path) -> None:
    """Read, resolve, make the payloads and predict, with the SQL that `migrator plan` runs for its tickets."""
    from migrator.compile import canonical_sql
    from migrator.decide import Decider
    from migrator.native import native_sql
    from migrator.translate import Translator

    source, destination = connectors()
    kind = source.kinds.kinds["ticket"]
    (theirs,), (ours,) = source.mapping.kinds["ticket"], destination.mapping.kinds["ticket"]
    write = destination.manifest.write("ticket")
    assert write is not None
    clock = Clock()

    def work(stage: Stage) -> None:
        with clock("read"):
            stage.schema("canonical")
            sql = canonical_sql(kind, (theirs,), lambda _: stage.raw("raw", "tickets"), "canonical.custom_field")
            stage.run(f"CREATE TABLE canonical.ticket AS {sql}")
        with clock("decide"):
            # References that arrive, and besides what happens to each ticket, and why.
            sides = (stage, source.kinds, destination.manifest, destination.mapping)
            Decider(*sides, "zendesk", Translator(*sides)).decide("ticket")
        with clock("payload"):
            sql = native_sql(
                kind,
                ours,
                write,
                rows="(SELECT * FROM native.\"work ticket\" WHERE _action = 'create')",
                vendor="zendesk",
                kind_name="ticket",
                fields="predicted.fields",
            )
            stage.run(f"CREATE TABLE native.made AS {sql}")
        with clock("predict"):
            sql = canonical_sql(kind, (ours,), lambda _: "native.made", "predicted.fields", given=True)
            stage.run(f"CREATE TABLE predicted.ticket AS {sql}")

    _in_stage(folder, work, clock)


def _in_stage(folder: Path, work: Callable[[Stage], None], clock: Clock) -> None:
    from migrator.stage import Stage

    with Stage(folder / "desk.duckdb") as stage:

        def all_of_it() -> dict[str, Any]:
            work(stage)
            return {"rows": stage.one("SELECT count(*) FROM raw.tickets")}

        timed(lambda: {**all_of_it(), "steps": clock.steps})
        # What was made, for the comparison; after the clock has stopped.
        said = {name: digest(stage, name) for name in TABLES}
        size = int(stage.one("SELECT sum(strlen(CAST(body AS VARCHAR))) FROM native.made"))
        (folder / "made.json").write_text(json.dumps({**said, "bytes of payloads": size}), encoding="utf-8")


def digest(stage: Stage, relation: str) -> list[str]:
    """Return the rows of a table counted and hashed, whatever their order."""
    columns = [row[0] for row in stage.rows(f"DESCRIBE {relation}")]
    listed = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in columns)
    return [
        str(value) for value in stage.rows(f"SELECT count(*), bit_xor(hash({listed})) FROM {relation}")[0]
    ] + columns


def whole(folder: Path) -> None:
    """Make the whole plan over canonical tables, as `migrator plan` does once everything is read."""
    from migrator.compile import canonical_sql, name
    from migrator.plan import Planner
    from migrator.stage import Stage

    source, destination = connectors()
    kinds = source.kinds.kinds
    around = {
        "contact": "'Person ' || id AS name, 'p' || id || '@example.com' AS email, "
        "CAST(700000 + CAST(id AS BIGINT) % 5000 AS VARCHAR) AS organization",
        "agent": "'Agent ' || id AS name, 'a' || id || '@acme.example' AS email",
        "group": "'Group ' || id AS name",
        "organization": "'Organization ' || id AS name",
    }
    with Stage(folder / "desk.duckdb") as stage:
        stage.schema("canonical")
        for kind_name in source.kinds.in_order():
            relation = f"canonical.{name(kind_name)}"
            stage.run(f"CREATE TABLE {relation} (id VARCHAR, variant VARCHAR, {stage.columns(kinds[kind_name])})")
            if kind_name in around:
                stage.run(
                    f"INSERT INTO {relation} BY NAME SELECT id, kind AS variant, {around[kind_name]}, "
                    "FALSE AS deleted, TIMESTAMP '2020-01-01' AS created_at, TIMESTAMP '2020-01-01' AS updated_at "
                    "FROM plan.decided WHERE kind = ?",
                    kind_name,
                )
        sql = canonical_sql(
            kinds["ticket"], source.mapping.kinds["ticket"], lambda _: "raw.tickets", "canonical.custom_field"
        )
        stage.run(f"INSERT INTO canonical.ticket BY NAME {sql}")
        stage.run("CHECKPOINT")

        def work() -> dict[str, Any]:
            plan = Planner(stage, source.kinds, destination.manifest, destination.mapping, "zendesk").make()
            assert not plan.unaccounted
            return {"rows": plan.counts["ticket"], "digest": plan.digest, "losses": len(plan.losses)}

        timed(work)


# ---- by hand --------------------------------------------------------------------------------------------------------


def pairs(values: dict[Any, Any]) -> str:
    """Return a map as rows of text."""
    return ", ".join(f"('{was}', '{becomes}')" for was, becomes in values.items())


def by_hand(folder: Path) -> None:
    """Do the same as somebody would who knows this one customer's data and DuckDB well."""
    clock = Clock()
    read = f"""
        CREATE TABLE canonical.ticket AS
        WITH t AS (SELECT json_extract_string(body, ['$.id', '$.raw_subject', '$.subject',
            '$.custom_status_id', '$.priority', '$.type',
            '$.via.channel', '$.requester_id', '$.submitter_id', '$.assignee_id', '$.group_id',
            '$.organization_id', '$.email_cc_ids',
            '$.follower_ids', '$.ticket_form_id', '$.problem_id', '$.tags', '$.recipient', '$.due_at',
            '$.external_id', '$.status',
            '$.created_at', '$.updated_at', '$.brand_id']) AS s FROM raw.tickets)
        SELECT s[1] AS id, 'ticket' AS variant, coalesce(nullif(s[2], ''), nullif(s[3], '')) AS subject,
            m1.w AS status,
            CASE WHEN s[5] IN ('low', 'normal', 'high', 'urgent') THEN s[5] END AS priority, m2.w AS type,
            nullif(s[7], '') AS channel,
            s[8] AS requester, nullif(s[9], '-1') AS submitter, s[10] AS assignee, s[11] AS "group",
            s[12] AS organization,
            CASE WHEN s[13] <> '[]' THEN list_sort(list_distinct(from_json(s[13], '["VARCHAR"]'))) END AS ccs,
            CASE WHEN s[14] <> '[]' THEN list_sort(list_distinct(from_json(s[14], '["VARCHAR"]'))) END AS followers,
            s[15] AS form, s[24] AS brand, s[4] AS custom_status, s[16] AS problem,
            CAST(NULL AS VARCHAR) AS service, CAST(NULL AS VARCHAR) AS sla,
            CASE WHEN s[17] <> '[]' THEN list_sort(list_distinct(from_json(s[17], '["VARCHAR"]'))) END AS tags,
            nullif(s[18], '') AS recipient, CAST(s[19] AS TIMESTAMP) AS due_at, nullif(s[20], '') AS external_id,
            CAST(NULL AS VARCHAR) AS custom, s[21] = 'deleted' AS deleted, CAST(NULL AS BOOLEAN) AS spam,
            CAST(s[22] AS TIMESTAMP) AS created_at,
            CAST(s[23] AS TIMESTAMP) AS updated_at
        FROM t LEFT JOIN (VALUES {pairs(STATUSES)}) AS m1(k, w) ON m1.k = s[4]
            LEFT JOIN (VALUES {pairs(TYPES)}) AS m2(k, w) ON m2.k = s[6]"""
    payload = f"""
        CREATE TABLE native.made AS
        WITH arrives AS (SELECT kind, id FROM plan.decided WHERE action = 'create')
        SELECT t.id, CAST(NULL AS INTEGER) AS parent, json_object(
            'subject', coalesce(rtrim(left(nullif(trim(t.subject), ''), 255)), '(no subject)'),
            'status', coalesce(CAST(m1.w AS INTEGER), 2),
            'priority', CASE t.priority WHEN 'low' THEN 1 WHEN 'normal' THEN 2 WHEN 'high' THEN 3
            WHEN 'urgent' THEN 4 ELSE 1 END,
            'type', m2.w,
            'source', CASE t.channel WHEN 'email' THEN 1 WHEN 'voice' THEN 3
            WHEN 'native_messaging' THEN 7 ELSE 2 END,
            'requester_id', r.id, 'responder_id', a.id, 'group_id', g.id, 'company_id', c.organization,
            'product_id', NULL, 'tags', list_transform(t.tags, lambda x: left(x, 32)), 'id', t.id) AS body
        FROM canonical.ticket t
        JOIN (SELECT id FROM arrives WHERE kind IN ('contact', 'agent')) r ON r.id = t.requester
        LEFT JOIN (SELECT id FROM arrives WHERE kind = 'agent') a ON a.id = t.assignee
        LEFT JOIN (SELECT id FROM arrives WHERE kind = 'group') g ON g.id = t."group"
        LEFT JOIN predicted.contact c ON c.id = r.id
        LEFT JOIN (VALUES {pairs({word: code for code, word in STATUS_CODES.items()})}) AS m1(k, w) ON m1.k = t.status
        LEFT JOIN (VALUES {pairs({ours: theirs for theirs, ours in TYPE_WORDS.items()})}) AS m2(k,
            w) ON m2.k = t.type"""
    predict = f"""
        CREATE TABLE predicted.ticket AS
        WITH t AS (SELECT id, json_extract_string(body, ['$.subject', '$.status', '$.priority', '$.type',
            '$.source', '$.requester_id',
            '$.responder_id', '$.group_id', '$.company_id', '$.tags']) AS s FROM native.made)
        SELECT id, 'ticket' AS variant, s[1] AS subject, m1.w AS status,
            CASE s[3] WHEN '1' THEN 'low' WHEN '2' THEN 'normal' WHEN '3' THEN 'high' WHEN '4' THEN 'urgent'
            END AS priority,
            coalesce(m2.w, s[4]) AS type, CASE s[5] WHEN '1' THEN 'email' WHEN '2' THEN 'web'
            WHEN '3' THEN 'phone' WHEN '7' THEN 'chat' END AS channel,
            s[6] AS requester, CAST(NULL AS VARCHAR) AS submitter, s[7] AS assignee, s[8] AS "group",
            s[9] AS organization,
            CAST(NULL AS VARCHAR[]) AS ccs, CAST(NULL AS VARCHAR[]) AS followers, CAST(NULL AS VARCHAR) AS form,
            CAST(NULL AS VARCHAR) AS brand, CAST(NULL AS VARCHAR) AS custom_status, CAST(NULL AS VARCHAR) AS problem,
            CAST(NULL AS VARCHAR) AS service, CAST(NULL AS VARCHAR) AS sla,
            CASE WHEN s[10] <> '[]' THEN list_sort(from_json(s[10],
            '["VARCHAR"]')) END AS tags,
            CAST(NULL AS VARCHAR) AS recipient, CAST(NULL AS TIMESTAMP) AS due_at,
            CAST(NULL AS VARCHAR) AS external_id,
            CAST(NULL AS VARCHAR) AS custom, CAST(NULL AS BOOLEAN) AS deleted, CAST(NULL AS BOOLEAN) AS spam,
            CAST(NULL AS TIMESTAMP) AS created_at,
            CAST(NULL AS TIMESTAMP) AS updated_at
        FROM t LEFT JOIN (VALUES {pairs(STATUS_CODES)}) AS m1(k, w) ON m1.k = s[2]
            LEFT JOIN (VALUES {pairs(TYPE_WORDS)}) AS m2(k, w) ON m2.k = s[4]"""

    def work(stage: Stage) -> None:
        stage.schema("canonical")
        for step, sql in (("read", read), ("payload", payload), ("predict", predict)):
            with clock(step):
                stage.run(sql)

    _in_stage(folder, work, clock)


# ---- a loop ---------------------------------------------------------------------------------------------------------


def loop(folder: Path) -> None:
    """Take the tickets one by one through pydantic models; what comes out is counted and thrown away."""
    from datetime import datetime

    import orjson
    from pydantic import BaseModel

    from migrator.stage import Stage

    class Via(BaseModel):
        channel: str | None = None

    class Theirs(BaseModel):
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

    codes = {word: code for code, word in STATUS_CODES.items()}
    sorts = {ours: theirs for theirs, ours in TYPE_WORDS.items()}
    levels = {code: word for word, code in PRIORITIES.items()}
    channels = {1: "email", 2: "web", 3: "phone", 7: "chat"}

    def text(value: int | None) -> str | None:
        return str(value) if value is not None else None

    def listed(values: list[Any]) -> list[str] | None:
        return sorted({str(value) for value in values}) or None

    with Stage(folder / "desk.duckdb", read_only=True) as stage:
        arrives: dict[str, set[str]] = {}
        for kind, id in stage.rows("SELECT kind, id FROM plan.decided WHERE action = 'create'"):
            arrives.setdefault(kind, set()).add(id)
        people = arrives["contact"] | arrives["agent"]
        company = dict(stage.rows("SELECT id, organization FROM predicted.contact"))
        sizes: list[int] = []

        def work() -> dict[str, Any]:
            rows = size = predicted = 0
            for (body,) in stage.stream("SELECT CAST(body AS VARCHAR) FROM raw.tickets"):
                rows += 1
                theirs = Theirs.model_validate_json(body)
                was = Canonical(
                    id=str(theirs.id),
                    subject=theirs.raw_subject or theirs.subject or None,
                    status=STATUSES.get(str(theirs.custom_status_id)),
                    priority=theirs.priority if theirs.priority in PRIORITIES else None,
                    type=TYPES.get(theirs.type or ""),
                    channel=theirs.via.channel,
                    requester=text(theirs.requester_id),
                    submitter=text(theirs.submitter_id),
                    assignee=text(theirs.assignee_id),
                    group=text(theirs.group_id),
                    organization=text(theirs.organization_id),
                    ccs=listed(theirs.email_cc_ids),
                    followers=listed(theirs.follower_ids),
                    form=text(theirs.ticket_form_id),
                    brand=text(theirs.brand_id),
                    custom_status=text(theirs.custom_status_id),
                    problem=text(theirs.problem_id),
                    tags=listed(theirs.tags),
                    recipient=theirs.recipient,
                    due_at=theirs.due_at,
                    external_id=theirs.external_id,
                    deleted=theirs.status == "deleted",
                    created_at=theirs.created_at,
                    updated_at=theirs.updated_at,
                )
                if was.requester not in people:
                    continue
                payload = Ours(
                    subject=(was.subject or "").strip()[:255].rstrip() or "(no subject)",
                    status=codes.get(was.status or "", 2),
                    priority=PRIORITIES.get(was.priority or "", 1),
                    type=sorts.get(was.type or "", was.type),
                    source=CHANNELS.get(was.channel or "", 2),
                    requester_id=was.requester or "",
                    responder_id=was.assignee if was.assignee in arrives["agent"] else None,
                    group_id=was.group if was.group in arrives["group"] else None,
                    company_id=company.get(was.requester or ""),
                    tags=[tag[:32] for tag in was.tags] if was.tags else None,
                    id=was.id,
                )
                becomes = Canonical(
                    id=payload.id,
                    subject=payload.subject,
                    status=STATUS_CODES.get(payload.status),
                    priority=levels.get(payload.priority),
                    type=TYPE_WORDS.get(payload.type or "", payload.type),
                    channel=channels.get(payload.source),
                    requester=payload.requester_id,
                    assignee=payload.responder_id,
                    group=payload.group_id,
                    organization=payload.company_id,
                    tags=listed(payload.tags or []),
                )
                size += len(orjson.dumps(payload.model_dump()))
                predicted += becomes.id == was.id
            sizes.append(size)
            return {"rows": rows, "written": predicted}

        timed(work)
        (folder / "made.json").write_text(json.dumps({"bytes of payloads": sizes[0]}), encoding="utf-8")


# ---- all of it ------------------------------------------------------------------------------------------------------

CONTENDERS: dict[str, Callable[[Path], None]] = {"compiled": compiled, "by_hand": by_hand, "loop": loop, "whole": whole}


def once(contender: str, desk: Path, made: dict[str, Any]) -> Run:
    """Run a contender on a copy of the desk; what it makes must be what another made of it before."""
    with tempfile.TemporaryDirectory(prefix="migrator-bench-", dir=desk.parent) as folder:
        shutil.copy(desk, folder)
        os.sync()  # or the contender would wait for the copy to be written
        measured = run(__file__, contender, "--folder", folder)
        said = Path(folder) / "made.json"
        found = json.loads(said.read_text(encoding="utf-8")) if said.is_file() else {}
    for what, digest in found.items():
        if made.setdefault(what, digest) != digest:
            raise RuntimeError(f"{contender} made another {what}: {digest} and not {made[what]}")
    return measured


def line(contender: str, one: Run, ours: Run) -> list[str]:
    """Return a contender's line of the table."""
    steps = ", ".join(f"{step} {cpu:.1f}" for step, (_, cpu) in one.said.get("steps", {}).items())
    return [
        TITLES[contender],
        f"{one.rows / one.seconds:,.0f}",
        f"{one.seconds:.1f}",
        f"{one.seconds / ours.seconds:.2f}x",
        f"{one.work_cpu:.1f}",
        f"{one.work_cpu / ours.work_cpu:.2f}x",
        f"{one.rss_mb:,.0f}",
        steps,
    ]


def desk(folder: Path, count: int, people: int) -> Path:
    """Stage the tickets in a process of its own, so that its memory is not counted with anybody's."""
    folder.mkdir(parents=True, exist_ok=True)
    run(__file__, "prepare", "--folder", str(folder), "--tickets", str(count), "--people", str(people))
    return folder / "desk.duckdb"


def contend(args: argparse.Namespace) -> None:
    """Be the contender that the parent asked for."""
    if args.contender == "prepare":
        prepare(args.folder, args.tickets, args.people)
        timed(lambda: {"rows": args.tickets})
    else:
        CONTENDERS[args.contender](args.folder)


def main() -> None:
    """Measure every contender."""
    parser = _measure.parser(__doc__)
    parser.add_argument("--tickets", type=int, default=1_000_000)
    parser.add_argument(
        "--loop-tickets", type=int, default=50_000, help="tickets for the loop, whose time is then scaled by row"
    )
    parser.add_argument("--people", type=int, default=200_000, help="contacts")
    parser.add_argument("--no-whole", action="store_true", help="leave out the whole plan")
    args = parser.parse_args()
    if args.contender:
        contend(args)
        return
    runs: dict[str, list[Run]] = {"compiled": [], "by_hand": [], "loop": [], "whole": []}
    made: dict[str, dict[str, Any]] = {"big": {}, "small": {}}
    fewer = min(args.loop_tickets, args.tickets)
    with tempfile.TemporaryDirectory(prefix="migrator-bench-") as folder:
        big = desk(Path(folder) / "big", args.tickets, args.people)
        small = desk(Path(folder) / "small", fewer, args.people)
        once("by_hand", small, made["small"])  # not measured: so that the loop's payloads have something to be equal to
        for _ in range(args.repeat):
            for contender in ("compiled", "by_hand"):
                runs[contender].append(once(contender, big, made["big"]))
            runs["loop"].append(once("loop", small, made["small"]))
        if not args.no_whole:
            runs["whole"].append(once("whole", big, {}))
    figures = {contender: median(some) for contender, some in runs.items() if some}
    ours, hand = figures["compiled"], figures["by_hand"]
    figures["loop"] = scaled(figures["loop"], args.tickets)
    lines = [line(contender, one, ours) for contender, one in figures.items()]
    head = ["contender", "rows/s", "seconds", "to ours", "CPU s", "CPU to ours", "peak MB", "CPU s by step"]
    slower, faster = ours.seconds / hand.seconds, figures["loop"].seconds / ours.seconds
    most = max(one.rss_mb for one in [ours, *runs["whole"]])
    aims = [
        Aim(
            "compiled against SQL by hand",
            "<= 1.5x",
            f"{slower:.2f}x ({ours.work_cpu / hand.work_cpu:.2f}x CPU)",
            slower <= 1.5,
        ),
        Aim("compiled against the loop", ">= 10x faster", f"{faster:.1f}x", faster >= 10),
        Aim("peak memory of ours (DuckDB's limit is 2 GB)", "< 2,500 MB", f"{most:,.0f} MB", most < 2500),
    ]
    title = (
        f"Planning {args.tickets:,} tickets (median of {args.repeat}, after the imports; "
        f"the loop scaled by row from {fewer:,}; "
        "the first two make equal tables, the loop payloads of equal size)"
    )
    publish(args, title, table(head, lines), aims, {"runs": runs, "made": made["big"]})


if __name__ == "__main__":
    main()
