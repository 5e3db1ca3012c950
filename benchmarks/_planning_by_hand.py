"""Planning tickets by SQL that somebody writes who knows this one customer's data and DuckDB well."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from _planning_desk import STATUS_CODES, STATUSES, TYPE_WORDS, TYPES, Clock, in_stage

if TYPE_CHECKING:
    from migrator.stage import Stage


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

    in_stage(folder, work, clock)
