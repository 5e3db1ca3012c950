"""The tickets that are planned, how long each step takes, and what was made of them, to be compared."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _measure import ROOT, cpu_seconds, timed

if TYPE_CHECKING:
    from migrator.stage import Stage

sys.path.insert(0, str(ROOT))

ENTRIES = 50
STATUSES = {str(1_900_000 + n): f"status {n:02}" for n in range(ENTRIES)}  # Zendesk's custom statuses, to our words
TYPES = {f"Type {n:02}": f"type {n:02}" for n in range(ENTRIES)}
STATUS_CODES = {n + 2: f"status {n:02}" for n in range(ENTRIES)}  # Freshdesk's, to our words
TYPE_WORDS = {f"Sort {n:02}": f"type {n:02}" for n in range(ENTRIES)}
PRIORITIES = {"low": 1, "normal": 2, "high": 3, "urgent": 4}
CHANNELS = {"web": 2, "email": 1, "api": 2, "voice": 3, "native_messaging": 7}
TABLES = ("canonical.ticket", "native.made", "predicted.ticket")

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


def in_stage(folder: Path, work: Callable[[Stage], None], clock: Clock) -> None:
    """Do a contender's work in the stage; note what it made, to be held against the others'."""
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
