"""A help desk made up by ourselves: Zendesk-like tickets of about 2 KB, and a raw server that hands them out.

python benchmarks/_desk.py --tickets 1000    prints its port, and serves until it is ended
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

WORDS = (
    "printer invoice password delivery broken account refund login order screen battery update router cable customer "
    "please thanks urgent again missing since yesterday cannot open after error page warranty colour size wrong address"
).split()
STATUSES = ("new", "open", "pending", "hold", "solved", "closed")
CHANNELS = ("web", "email", "api", "voice", "native_messaging")
CUSTOM_FIELDS = 12


def ticket(id: int, dice: random.Random) -> dict[str, Any]:
    """Return one ticket, shaped like the incremental export's: 45 keys, 12 custom fields."""
    day = f"20{dice.randrange(18, 26)}-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}"
    made = f"{day}T{dice.randrange(24):02}:15:{id % 60:02}Z"
    subject = " ".join(dice.choices(WORDS, k=6)).capitalize()
    custom = [{"id": 360_000_000 + n, "value": _custom(n, dice)} for n in range(CUSTOM_FIELDS)]
    requester, agent = 900_000_000 + dice.randrange(200_000), 100_000 + dice.randrange(500)
    return {
        "url": f"https://acme.zendesk.com/api/v2/tickets/{id}.json",
        "id": id,
        "external_id": None,
        "via": {
            "channel": dice.choice(CHANNELS),
            "source": {"from": {"address": f"p{requester}@example.com"}, "to": {}, "rel": None},
        },
        "created_at": made,
        "updated_at": made,
        "generated_timestamp": 1_700_000_000 + id,
        "type": dice.choice(("question", "incident", "problem", "task", None)),
        "subject": subject,
        "raw_subject": subject,
        "description": " ".join(dice.choices(WORDS, k=45)),
        "priority": dice.choice(("low", "normal", "high", "urgent", None)),
        "status": dice.choice(STATUSES),
        "recipient": "support@acme.example",
        "requester_id": requester,
        "submitter_id": requester,
        "assignee_id": agent,
        "organization_id": 700_000 + dice.randrange(5_000),
        "group_id": 50_000 + dice.randrange(50),
        "collaborator_ids": [],
        "follower_ids": [agent],
        "email_cc_ids": [900_000_000 + dice.randrange(200_000)],
        "forum_topic_id": None,
        "problem_id": None,
        "has_incidents": False,
        "is_public": True,
        "due_at": None,
        "tags": dice.sample(WORDS, 4),
        "custom_fields": custom,
        "satisfaction_rating": {"score": "unoffered"},
        "sharing_agreement_ids": [],
        "custom_status_id": 1_900_000 + dice.randrange(50),
        "encoded_id": f"{id:X}-{dice.randrange(10**6):06}",
        "fields": custom,
        "followup_ids": [],
        "ticket_form_id": 360_001,
        "brand_id": 360_002,
        "allow_channelback": False,
        "allow_attachments": True,
        "from_messaging_channel": False,
        "support_type": "agent",
        "satisfaction_probability": None,
        "result_type": "ticket",
        "metric_set": None,
        "slas": None,
        "dates": {"assignee_updated_at": made},
    }


def _custom(n: int, dice: random.Random) -> Any:
    match n % 4:
        case 0:
            return dice.choice(WORDS)
        case 1:
            return str(dice.randrange(10**6))
        case 2:
            return dice.random() < 0.5
        case _:
            return None if dice.random() < 0.5 else " ".join(dice.choices(WORDS, k=3))


def tickets(count: int) -> Iterator[bytes]:
    """Yield tickets as JSON, the same ones every time."""
    dice = random.Random(20261122)
    return (json.dumps(ticket(id, dice), separators=(",", ":")).encode() for id in range(1, count + 1))


def pages(count: int, size: int) -> list[bytes]:
    """Return the whole incremental export, page by page."""
    made: list[bytes] = []
    some: list[bytes] = []
    for at, body in enumerate(tickets(count), 1):
        some.append(body)
        if len(some) == size or at == count:
            last = at == count
            after = "null" if last else f'"{len(made) + 1}"'
            end = (
                f'],"after_url":null,"after_cursor":{after},"before_cursor":null,"end_of_stream":{str(last).lower()}}}'
            )
            made.append(b'{"tickets":[' + b",".join(some) + end.encode())
            some = []
    return made


async def serve(count: int, size: int) -> None:
    """Answer until somebody ends us."""
    export = pages(count, size)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                target = urlsplit(request.split(b" ", 2)[1].decode())
                asked = parse_qs(target.query)
                if target.path.endswith("/count.json"):
                    body = json.dumps({"count": {"value": count}}).encode()
                else:
                    body = export[int(asked.get("cursor", ["0"])[0])]
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode())
                writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, required=True)
    parser.add_argument("--page", type=int, default=1000)
    asked = parser.parse_args()
    asyncio.run(serve(asked.tickets, asked.page))
