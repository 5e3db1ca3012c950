"""Content that breaks help desks, moved from a Zendesk sandbox into a true Znuny, and read back as a source."""

from __future__ import annotations

import hashlib
import random
from typing import Any, NamedTuple

import pytest

from migrator import registry
from migrator.ledger import Ledger
from migrator.load import Loaded
from migrator.plan import Plan
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Sandbox
from migrator.testing.servers.znuny import Znuny
from migrator.verify import Verified
from tests.servers.znuny import moves

pytestmark = pytest.mark.servers
SEED = 20261126
MESSAGES = 300  # in one ticket
LARGE_BYTES = 20_000_000
AT = {"created_at": "2019-03-31T01:30:00Z", "updated_at": "2024-02-29T23:59:59Z"}
TEXTS = (
    "Ümläut & <b>bold</b> \"quoted\" 'single'",
    "日本語のテキスト、全角　空白",
    "עברית ימין לשמאל ‏(ערבית: العربية)",
    "Ελληνικά и кириллица",
    "👩‍👩‍👧‍👦 🏳️‍🌈 family and flag",
    "\u00a0 blanks of all kinds around \u3000",
    "0",
    "'; DROP TABLE ticket; -- %s %(x)s {{liquid}} \\",
    "long " * 80,
)
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
BODIES = (
    "<p>{}<br>two lines</p>",
    "<div><table><tr><td>broken <b>markup {}</div><p>never closed",
    f'<p>a picture in the text: {{}} <img src="data:image/png;base64,{PICTURE}" alt="dot"></p>',
    '<p>{} <a href="https://old.example/?a=1&amp;b=2">link</a> <img src="https://old.example/inline.png"></p>',
    "<!-- comment --><style>p {{ color: red }}</style><p>{}</p>",
    "plain {} & text < without > markup",
)
NAMES = (
    ".htaccess",
    "résumé \u2013 naïve.pdf",
    "日本語.txt",
    "same.txt",
    "same.txt",
    "a b  c.txt",
    "file-2",
    "x" * 230 + ".txt",
    "no ending",
)


def fill(box: Sandbox) -> None:
    """Put the account into a Zendesk sandbox."""
    module: Any = registry.connector("zendesk").sandbox
    chance = random.Random(SEED)
    people = [
        {
            "id": 1,
            "name": "Zoë Ångström-Łukasz",
            "email": "Zoe@Firm.example",
            "role": "end-user",
            "organization_id": 10,
        },
        {"id": 2, "name": "山田 太郎", "email": "taro@desk.example", "role": "agent"},
        {"id": 3, "name": "Ohne Adresse", "email": None, "role": "end-user"},
        {"id": 4, "name": 'The "Quoted" <Person>, Jr.', "email": "o'neil+tag@firm.example", "role": "end-user"},
        {"id": 5, "name": "Gone", "email": "gone@firm.example", "role": "end-user", "active": False},
        {"id": 6, "name": "Ada 0", "email": "ada0@desk.example", "role": "admin"},
    ]
    person = {"active": True, "suspended": False, "verified": True, "tags": [], "user_fields": {}, **AT}
    firm = {"id": 10, "name": "Fïrm & Söhne “GmbH”", "tags": [], "domain_names": [], "organization_fields": {}, **AT}
    module.seed(box, "organizations", [firm])
    module.seed(box, "groups", [{"id": 20, "name": "Zweite Ebene 二", "description": "", "deleted": False, **AT}])
    module.seed(box, "users", [{**person, **one} for one in people])
    tickets, comments = [], []
    for number, text in enumerate(TEXTS):
        many = MESSAGES if number == 3 else len(BODIES) if number == 4 else 2
        id = 100 + number
        tickets.append(
            {
                "id": id,
                "subject": text,
                "status": ("new", "open", "pending", "hold", "solved", "closed")[number % 6],
                "priority": (None, "low", "normal", "high", "urgent")[number % 5],
                "type": None,
                "via": {"channel": "email"},
                "requester_id": people[number % 6]["id"],
                "submitter_id": 1,
                "assignee_id": (None, 2)[number % 2],
                "group_id": (None, 20)[number % 2],
                "organization_id": None,
                "tags": [["eins", "zwei"], []][number % 2],
                "custom_fields": [],
                "generated_timestamp": 1704182400,
                **AT,
            }
        )
        for place in range(many):
            files = []
            names = NAMES if (number, place) == (1, 0) else ["large.bin"] if (number, place) == (2, 1) else []
            for at, name in enumerate(names):
                size = LARGE_BYTES if name == "large.bin" else (0, 1, 300)[at % 3]
                token, data = f"t{id}-{place}-{at}", chance.randbytes(size)
                module.put_bytes(box, token, data)
                url = f"{box.base_url}/attachments/token/{token}/?name=f"
                files.append(
                    {"id": id * 10_000 + place * 100 + at, "file_name": name, "content_type": "application/X-Odd+thing",
                     "size": len(data), "inline": False, "content_url": url}
                )  # fmt: skip
            body = BODIES[place % len(BODIES)].format(TEXTS[(number + place) % len(TEXTS)].replace("<", "&lt;"))
            comment = {
                "id": id * 1000 + place,
                "type": "Comment",
                "author_id": people[(number + place) % 6]["id"],
                "html_body": body,
                "body": "see html",
                "public": place % 3 != 1,
                "attachments": files,
                "via": {"channel": "email"},
                "created_at": f"2020-01-{1 + place // 24:02}T{place % 24:02}:00:01Z",
            }
            comments.append({"ticket_id": id, "comment": comment})
    module.seed(box, "tickets", tickets)
    module.seed(box, "ticket_comments", comments)


class Moved(NamedTuple):
    """The account, moved."""

    steps: Steps
    plan: Plan
    loaded: Loaded
    verified: Verified
    differences: list[dict[str, Any]]


@pytest.fixture(scope="module")
def moved(server: Znuny, tmp_path_factory: pytest.TempPathFactory) -> Moved:
    server.reset()
    old = registry.connector("zendesk").sandbox.create(limits=False)
    fill(old)
    run = moves.steps(tmp_path_factory.mktemp("w"), moves.at_sandbox(old), moves.at_znuny(server), source=old)
    run.extract()
    plan = run.plan()
    loaded = run.load(plan.digest)
    return Moved(run, plan, loaded, *run.verify())


def test_everything_is_written(moved: Moved) -> None:
    with Ledger(moved.steps.workspace.ledger) as ledger:
        assert [(unit, answer) for unit, _, answer, _ in ledger.quarantined()] == []
    assert moved.loaded.written == moved.plan.units


def test_it_reads_back_as_predicted(moved: Moved) -> None:
    assert moved.differences == []
    assert moved.verified.proven


def test_the_database_holds_every_message_once_and_every_byte(moved: Moved, server: Znuny) -> None:
    assert server.count("ticket", "id > 1") == len(TEXTS)
    assert server.count("article", "ticket_id = (SELECT id FROM ticket WHERE title = %s)", TEXTS[3]) == MESSAGES
    assert {title for (title,) in server.rows("SELECT title FROM ticket WHERE id > 1")} >= {"0", TEXTS[4]}
    with Stage(moved.steps.workspace.stage) as stage:
        wanted = stage.rows("SELECT name, blob FROM canonical.attachment ORDER BY name, blob")
        found = stage.rows("SELECT name, blob FROM back_canonical.attachment ORDER BY name, blob")
    assert found == wanted
    assert any(digest == hashlib.sha256(b"").hexdigest() for _, digest in found)


def test_nobody_was_told(moved: Moved, server: Znuny) -> None:
    assert server.count("mail_queue") == 0
