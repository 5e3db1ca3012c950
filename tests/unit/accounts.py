"""Small Zendesk accounts as the API would hand them over, with every fault an account of some years has."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hypothesis import strategies as st

from migrator.blobs import begin_download
from migrator.stage import Stage
from tests.unit.tiny import texts

Account = dict[str, list[dict[str, Any]]]  # stream to native records

ids = st.integers(1, 9)
texts_or_none = st.none() | st.just("") | texts
names = st.none() | st.sampled_from(["Ann", "ann ", "Bob", "B" * 300, " ", "O'Neil; DROP TABLE x"]) | texts
mails = st.none() | st.sampled_from(["a@x.example", "A@X.example", "b@x.example", "c@x.example"])
moments = st.none() | st.sampled_from(["2020-02-29T12:00:00Z", "2021-01-01T00:00:00.5+05:30", "yesterday"])
tags = st.lists(st.sampled_from(["vip", "VIP", "x" * 40, "ü'b"]), max_size=3)


def records(first: int, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Up to five records with ids of their own."""
    one = st.fixed_dictionaries({"id": st.integers(first, first + 8), **fields})
    return st.lists(one, max_size=5, unique_by=lambda record: record["id"])


def of(first: int) -> st.SearchStrategy[int | None]:
    """Perhaps the id of such a record; perhaps of one that is gone."""
    return st.none() | st.integers(first, first + 8)


OPTIONS = [{"id": 1, "name": "Gold", "value": "gold"}, {"id": 2, "name": "Silver", "value": "silver"}]
values = (
    st.none()
    | st.sampled_from(
        ["gold", "silver", "tin", "", "5", "1.5", True, False, 7, "2020-01-01", ["gold"], ["gold", "tin"], []]
    )
    | texts
)
types = st.sampled_from(
    [
        "text",
        "textarea",
        "integer",
        "decimal",
        "date",
        "checkbox",
        "tagger",
        "multiselect",
        "regexp",
        "subject",
        "partialcreditcard",
        "new-type",
    ]
)


def fields(first: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    return records(
        first,
        key=st.sampled_from(["k1", "k2", "k3"]),
        title=st.none() | st.sampled_from(["Plan", "plan", "Colour"]) | texts,
        type=types,
        active=st.booleans(),
        required=st.booleans(),
        custom_field_options=st.sampled_from([[], OPTIONS]),
        created_at=moments,
        system=st.sampled_from([False, False, True]),
    )


comments = st.fixed_dictionaries(
    {
        "author_id": of(300) | st.just(-1),
        "html_body": texts_or_none,
        "body": texts_or_none,
        "public": st.sampled_from([True, False, None]),
        "created_at": moments,
        "via": st.sampled_from([{"channel": "email"}, {}]),
        "attachments": st.lists(
            st.fixed_dictionaries(
                {
                    "file_name": st.sampled_from(["a.png", "../b", None, "c/"]),
                    "size": st.sampled_from([1, 2**20, 15 * 2**20]),
                    "inline": st.booleans(),
                    "content_url": st.just("https://x.example/a"),
                }
            ),
            max_size=2,
        ),
    }
)


@st.composite
def accounts(draw: Any) -> Account:
    """Return an account: people without names, tickets without people, groups gone, values of no option."""
    account: Account = {
        "ticket_fields": draw(fields(100)),
        "user_fields": draw(fields(120)),
        "organization_fields": draw(fields(140)),
        "organizations": draw(
            records(
                200,
                name=names,
                domain_names=st.lists(st.sampled_from(["x.example", "y.example"]), max_size=2),
                tags=tags,
                external_id=texts_or_none,
                deleted_at=st.sampled_from([None, "2020-01-01T00:00:00Z"]),
                organization_fields=st.dictionaries(st.sampled_from(["k1", "k2", "kx"]), values, max_size=2),
                created_at=moments,
            )
        ),
        "users": draw(
            records(
                300,
                role=st.sampled_from(["end-user", "end-user", "agent", "admin", "ghost"]),
                name=names,
                email=mails,
                organization_id=of(200),
                active=st.sampled_from([True, True, False, None]),
                locale=st.sampled_from(["en-US", "de", "tlh", None]),
                tags=tags,
                phone=texts_or_none,
                notes=texts_or_none,
                details=texts_or_none,
                signature=texts_or_none,
                external_id=texts_or_none,
                suspended=st.booleans(),
                user_fields=st.dictionaries(st.sampled_from(["k1", "k2", "kx"]), values, max_size=2),
                created_at=moments,
            )
        ),
        "groups": draw(
            records(400, name=names, description=texts_or_none, deleted=st.sampled_from([False, False, True]))
        ),
        "group_memberships": draw(records(500, group_id=of(400), user_id=of(300), default=st.booleans())),
        "ticket_forms": draw(
            records(600, name=names, ticket_field_ids=st.lists(st.integers(100, 108), max_size=2), active=st.booleans())
        ),
        "tags": [{"name": name, "count": 1} for name in draw(st.sampled_from([[], ["vip"], ["vip", "o'x"]]))],
        "tickets": draw(
            records(
                700,
                subject=texts_or_none,
                raw_subject=texts_or_none,
                status=st.sampled_from(["new", "open", "hold", "solved", "closed", "deleted", "custom?"]),
                priority=st.sampled_from([None, "low", "urgent", "top"]),
                type=st.sampled_from([None, "question", "task"]),
                via=st.sampled_from(
                    [{"channel": "email"}, {"channel": "web"}, {"channel": "voice"}, {"channel": "pigeon"}, {}]
                ),
                requester_id=of(300),
                submitter_id=of(300),
                assignee_id=of(300),
                group_id=of(400),
                organization_id=of(200),
                email_cc_ids=st.lists(st.integers(300, 308), max_size=2),
                follower_ids=st.just([]),
                ticket_form_id=of(600),
                problem_id=of(700),
                tags=tags,
                recipient=texts_or_none,
                due_at=moments,
                external_id=texts_or_none,
                custom_fields=st.lists(
                    st.fixed_dictionaries({"id": st.integers(100, 109), "value": values}),
                    max_size=3,
                    unique_by=lambda v: v["id"],
                ),
                created_at=moments,
            )
        ),
        "satisfaction_ratings": draw(
            records(
                900,
                ticket_id=of(700),
                score=st.sampled_from(["good", "bad", "offered"]),
                comment=texts_or_none,
                requester_id=of(300),
            )
        ),
    }
    account["ticket_comments"] = [
        {
            **comment,
            "id": 1000 + at,
            "_parent": draw(st.integers(700, 708)),
            "attachments": [{**a, "id": 2000 + 10 * at + n} for n, a in enumerate(comment["attachments"])],
        }
        for at, comment in enumerate(draw(st.lists(comments, max_size=6)))
    ]
    return account


def put(stage: Stage, account: Account, *, backwards: bool = False) -> None:
    """Stage an account anew; the order of its records says nothing."""
    stage.schema("raw", "blobs", fresh=True)
    for stream, native in account.items():
        rows = []
        for record in native:
            body = {key: value for key, value in record.items() if not key.startswith("_")}
            rows.append(
                (
                    str(record.get("id", record.get("name"))),
                    str(record["_parent"]) if "_parent" in record else None,
                    None,
                    json.dumps(body),
                )
            )
        stage.put("raw", stream, rows[::-1] if backwards else rows)
    begin_download(stage, "raw")
    files = [a for comment in account["ticket_comments"] for a in comment["attachments"]]
    digest = hashlib.sha256(b"x").hexdigest()
    came = {True: [digest, 1, None], False: [None, 1, "404"]}
    stage.insert("blobs.raw", [[str(a["id"]), *came[a["id"] % 3 > 0], None] for a in files])
