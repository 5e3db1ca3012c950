"""A seeded account of what breaks migrations: scripts, emoji, right-to-left, broken HTML mail, 20 MB, 300 messages.

Canonical records, so that any destination can be held to it: ``begin(suite, folder, made=awkward.Account(seed=1))``.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from migrator.compile import name
from migrator.kinds import Kinds
from migrator.stage import Stage
from migrator.workspace import Workspace

NAMES = (
    "Zoë Ångström",
    "山田 太郎",
    "Дмитрий Ёлкин",
    "שרה כהן",
    "محمد علي",
    "Nguyễn Thị Hồng",
    "👩‍🚀 Ada",
    "O'Brien; --",
    "ß ﬁ ½",
)
WORDS = {
    "latin": "Straße naïve façade œuvre Łódź",
    "cyrillic": "Здравствуйте, всё сломалось",
    "japanese": "請求書が二重に届きました。",
    "arabic": "مرحبا بالعالم ١٢٣",
    "hebrew": "שלום עולם (123) abc",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 \u202eright\u202c",
}
BROKEN = (
    '<div class="WordSection1"><p class="MsoNormal">{0}<o:p></o:p><b>bold <i>crossed</b> over</i>',
    "<!--[if mso]><style>p{{margin:0}}</style><![endif]--><p>{0}<br>one<br/>two</div></td>",
    "<table><tr><td>{0}<td>b<tr></table><p>a &lt; b &amp;&amp; c &nbsp; &#128512; &copy; &notanentity;",
    '<blockquote><p>{0}</blockquote></p><a href="https://old.example/t?a=1&b=2">link</a><script>alert(1)</script>',
    '<p>{0}</p><img src="cid:image001.png@01D9" alt="logo"><img src=https://old.example/a.png width=1>',
    "{0}\r\n\r\nOn Monday someone wrote:\r\n> quoted\r\n>> twice\r\n-- \r\nsignature",
)
FILES = (
    ("日本語 ファイル.bin", "application/octet-stream"),
    ("résumé (1).pdf", "application/pdf"),
    ("שלום.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("🎉 party.png", "image/png"),
    ("notes.txt", "text/plain"),
    ("a" * 120 + ".csv", "text/csv"),
)
INLINE = ("image001.png", "image/png")
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001"
    "e221bc330000000049454e44ae426082"
)
HOWS = ("relates", "depends_on", "parent_of", "duplicates", "merged_into")


@dataclass(frozen=True)
class Account:
    """The account's size; the same seed makes the same records. ``big``: bytes of the largest file."""

    seed: int = 1
    tickets: int = 16
    messages: int = 300  # of the longest ticket
    big: int = 20 << 20

    def __call__(self, stage: Stage, kinds: Kinds, workspace: Workspace) -> None:
        """Fill the stage's ``canonical`` schema, and put the bytes of attachments into the workspace."""
        stage.schema("canonical", "blobs", fresh=True)
        chance = random.Random(self.seed)
        held: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds.kinds}
        held["group"] = [{"id": f"g{n}", "name": text, "description": text} for n, text in enumerate(WORDS.values())]
        held["contact"] = list(_people("c", 14, chance))
        held["agent"] = list(_people("a", 5, chance))
        held["ticket"] = [self._ticket(n, chance) for n in range(self.tickets)]
        held["message"] = [m for ticket in held["ticket"] for m in self._messages(ticket, chance)]
        held["attachment"] = list(self._attachments(held["message"], chance, workspace))
        held["ticket_link"] = [
            {"id": f"l{n}", "ticket": f"t{n}", "other": f"t{n + 5}", "how": how} for n, how in enumerate(HOWS)
        ]
        for kind_name, kind in kinds.kinds.items():
            table = f"canonical.{name(kind_name)}"
            stage.run(f"CREATE TABLE {table} (id VARCHAR, variant VARCHAR, {stage.columns(kind)})")
            columns = list(kind.fields)
            rows = [[one["id"], kind_name, *(one.get(c) for c in columns)] for one in held[kind_name]]
            stage.insert(table, rows)

    def _ticket(self, n: int, chance: random.Random) -> dict[str, Any]:
        at = datetime(2019, 2, 28) + timedelta(days=37 * n, seconds=n)
        words = list(WORDS.values())
        return {
            "id": f"t{n}",
            "subject": f"{words[n % len(words)]} #{n}",
            "status": ("new", "open", "pending", "solved", "closed")[n % 5],
            "priority": (None, "low", "normal", "high", "urgent")[n % 5],
            "requester": f"c{chance.randrange(14)}",
            "assignee": f"a{1 + chance.randrange(4)}" if n % 3 else None,
            "group": f"g{n % len(WORDS)}",
            "created_at": at,
            "updated_at": at + timedelta(days=2),
        }

    def _messages(self, ticket: dict[str, Any], chance: random.Random) -> Iterator[dict[str, Any]]:
        number = int(ticket["id"][1:])
        words = list(WORDS.values())
        for n in range(self.messages if number == 3 else 1 + number % 4):
            yield {
                "id": f"m{number}-{n}",
                "ticket": ticket["id"],
                "author": ticket["requester"] if n % 2 == 0 else f"a{1 + chance.randrange(4)}",
                "body": BROKEN[(number + n) % len(BROKEN)].format(f"{words[n % len(words)]} {number}/{n}"),
                "public": n % 5 != 4 and not (number == 7 and n == 0),  # the first of t7 is a note
                "order": n + 1,
                "created_at": ticket["created_at"] + timedelta(minutes=7 * n),
            }

    def _attachments(
        self, messages: list[dict[str, Any]], chance: random.Random, workspace: Workspace
    ) -> Iterator[dict[str, Any]]:
        def made(id: str, message: str, file: tuple[str, str], data: bytes, *, inline: bool = False) -> dict[str, Any]:
            digest = hashlib.sha256(data).hexdigest()
            workspace.blob(digest).parent.mkdir(parents=True, exist_ok=True)
            workspace.blob(digest).write_bytes(data)
            return {
                "id": id, "message": message, "name": file[0], "content_type": file[1], "size": len(data),
                "inline": inline, "blob": digest,
            }  # fmt: skip

        for n, message in enumerate(one for one in messages if not one["id"].startswith("m3-")):
            if n % 3 == 0:
                yield made(f"f{n}", message["id"], FILES[n // 3 % len(FILES)], chance.randbytes(1 + n * 97))
            if "cid:" in message["body"]:
                yield made(f"i{n}", message["id"], INLINE, PICTURE, inline=True)
        yield made("big", "m1-0", ("large ü.bin", "application/octet-stream"), chance.randbytes(self.big))


def _people(letter: str, number: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    for n in range(number):
        yield {
            "id": f"{letter}{n}",
            "name": f"{NAMES[n % len(NAMES)]} {letter}{n}",
            "email": None if n % 7 == 6 else f"{letter}.{n}+tag@example-{chance.randrange(9)}.example",
            "deleted": n % 5 == 0 and letter == "c",
            "created_at": datetime(2018, 1, 1) + timedelta(days=n),
        }
