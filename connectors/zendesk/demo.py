"""A realistic Zendesk account made by code: the same for the same seed, odd wherever a migration must survive it."""

from __future__ import annotations

import hashlib
import html
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from migrator.testing.sandbox import Native, Sandbox

from . import demo_texts as texts
from .demo_account import START, Account, text
from .sandbox import put_bytes, seed

DAYS = 745  # until 2026-10-16, before the sandbox's clock begins
NOWHERE: Native = {"from": {}, "to": {}, "rel": None}
CHANNELS = ("email", "email", "email", "web", "web", "api", "chat", "voice")


def generate(
    seed_number: int = 7, tickets: int = 240, *, base_url: str = "http://zendesk.sandbox"
) -> dict[str, list[Native]]:
    """Return native records by stream; ``ticket_comments`` as ``{"ticket_id": …, "comment": {…}}``."""
    return _Tickets(Account(seed_number, base_url), tickets).streams


def fill(box: Sandbox, seed_number: int = 7, tickets: int = 240) -> Sandbox:
    """Put the demo account with its files into a sandbox. Returns the sandbox."""
    desk = _Tickets(Account(seed_number, box.base_url), tickets)
    for stream, bodies in desk.streams.items():
        seed(box, stream, bodies)
    for token, data in desk.files.items():
        put_bytes(box, token, data)
    return box


class _Tickets:
    """Adds tickets with their comments, files and ratings to an account."""

    def __init__(self, account: Account, tickets: int) -> None:
        self.dice, self.base, self.streams = account.dice, account.base, account.streams
        self.members, self._id, self._add = account.members, account.new_id, account.add
        self.files: dict[str, Any] = {}  # token to bytes, or to a function that makes them
        self.comments: dict[int, list[Native]] = {}
        for number in range(1, tickets + 1):
            self._ticket(number, START + timedelta(days=DAYS * (number - 1) / max(1, tickets)))
        self._odd_tickets()
        self._problems()
        self._ratings()
        self._close()

    def _ticket(self, number: int, made: datetime) -> None:
        dice, people = self.dice, self.streams["users"]
        contacts = people[len(texts.AGENTS) :]
        requester = contacts[number * 7 % len(contacts)]
        language = next(key for key, value in texts.LOCALES.items() if value[0] == requester["locale"])
        group = self.streams["groups"][number % 4]
        status = self._status(number, made)
        assignee = None if status == "new" else dice.choice(self.members[group["id"]])
        form = self.streams["ticket_forms"][number % 6 == 0]
        subject = dice.choice(texts.SUBJECTS[language])
        channel = CHANNELS[number % len(CHANNELS)]
        others = [user["id"] for user in dice.sample(contacts, number % 3) if user is not requester]
        ticket: Native = {
            "url": f"{self.base}/api/v2/tickets/{number}.json", "id": number,
            "external_id": f"legacy-{number}" if number % 10 == 0 else None,
            "via": self._via(channel, requester), "created_at": text(made), "updated_at": text(made),
            "generated_timestamp": 0, "type": (None, "question", "problem", "task", "incident")[number % 5],
            "subject": subject, "raw_subject": subject, "description": None,
            "priority": (None, "low", "normal", "high", "urgent")[number % 7 % 5], "status": status,
            "recipient": "help@desk.example" if channel == "email" else None, "requester_id": requester["id"],
            "submitter_id": requester["id"], "assignee_id": assignee, "organization_id": requester["organization_id"],
            "group_id": group["id"], "collaborator_ids": others, "follower_ids": [], "email_cc_ids": others,
            "forum_topic_id": None, "problem_id": None, "has_incidents": False, "is_public": True,
            "due_at": text(made + timedelta(days=7)) if number % 5 == 3 else None,
            "tags": sorted(dice.sample(texts.TAGS, number % 4)), "custom_fields": [],
            "satisfaction_rating": {"score": "unoffered"}, "sharing_agreement_ids": [], "custom_status_id": None,
            "fields": [], "followup_ids": [], "ticket_form_id": form["id"],
            "brand_id": self.streams["brands"][0]["id"], "allow_channelback": False, "allow_attachments": True,
            "from_messaging_channel": False,
        }  # fmt: skip
        if ticket["type"] == "problem":
            ticket["type"] = "question"  # problems and their incidents are made at the end
        self._custom_values(ticket, number)
        self.streams["tickets"].append(ticket)
        self.comments[number] = []
        moment = made
        for place in range(1 + number * 5 % 9):
            by_agent = place % 2 == 1 and assignee is not None
            author = assignee if by_agent else requester["id"]
            private = by_agent and dice.random() < 0.3
            words = dice.choice(texts.NOTES if private else texts.BODIES[language])
            self._comment(ticket, author, words, moment, public=not private, channel="web" if by_agent else channel)
            moment += timedelta(minutes=dice.randint(5, 3_000))
        if number % 4 == 1:
            self._attach(self.comments[number][-1], *texts.FILES[number // 4 % len(texts.FILES)](number))

    def _status(self, number: int, made: datetime) -> str:
        if number % 41 == 40:
            return "deleted"
        if (START + timedelta(days=DAYS) - made).days > 150:
            return "solved" if number % 23 == 0 else "closed"
        return ("new", "open", "pending", "hold", "solved")[number % 5]

    def _via(self, channel: str, user: Native) -> Native:
        source: Native = dict(NOWHERE)
        if channel == "email":
            source["from"] = {"address": user["email"] or "unknown@mail.example", "name": user["name"]}
            source["to"] = {"name": "Demo Desk", "address": "help@desk.example"}
        if channel == "voice":
            source = {"from": {"phone": user["phone"] or "+49 30 0"}, "to": {"phone": "+49 30 999"}, "rel": "inbound"}
        return {"channel": channel, "source": source}

    def _custom_values(self, ticket: Native, number: int) -> None:
        rows: list[Native] = []
        tags = set(ticket["tags"])
        for at, field in enumerate(self.streams["ticket_fields"]):
            if not field["removable"] or not field["active"]:
                continue
            kind = field["type"]
            value: Any = None
            options = [option["value"] for option in field.get("custom_field_options", [])]
            if (number + at) % 3:
                value = {
                    "tagger": options[number % len(options)] if options else None,
                    "multiselect": options[: number % 3 + 1], "text": f"order {number}",
                    "textarea": f"1. start\n2. click {number}", "integer": str(number * 3), "decimal": f"{number}.50",
                    "date": f"2025-{number % 12 + 1:02d}-{number % 28 + 1:02d}", "checkbox": number % 2 == 0,
                    "regexp": f"SN-{number:06d}",
                }.get(kind)  # fmt: skip
            elif kind == "checkbox":
                value = False
            tags |= {value} if kind == "tagger" and value else set(value) if isinstance(value, list) else set()
            tags |= {field["tag"]} if kind == "checkbox" and value else set()
            rows.append({"id": field["id"], "value": value})
        ticket.update(custom_fields=rows, fields=[dict(row) for row in rows], tags=sorted(tags))

    def _comment(
        self, ticket: Native, author: int | None, words: str, moment: datetime, *, public: bool, channel: str,
        markup: str | None = None,
    ) -> Native:  # fmt: skip
        number = self._id()
        inner = markup or '<p dir="auto">' + html.escape(words, quote=False).replace("\n", "<br>\n") + "</p>"
        user = next(user for user in self.streams["users"] if user["id"] == author)
        comment: Native = {
            "id": number, "type": "Comment", "author_id": author, "body": words,
            "html_body": f'<div class="zd-comment" dir="auto">{inner}</div>', "plain_body": words, "public": public,
            "attachments": [], "audit_id": number - 64, "via": self._via(channel, user), "created_at": text(moment),
            "metadata": {"system": {"client": "demo", "ip_address": "192.0.2.7"}, "custom": {}},
        }  # fmt: skip
        self.comments[ticket["id"]].append(comment)
        return comment

    def _attach(self, comment: Native, name: str, kind: str, data: Any, *, inline: bool = False) -> Native:
        number = self._id()
        token = hashlib.sha256(f"{number}".encode()).hexdigest()[:25]
        url = f"{self.base}/attachments/token/{token}/?name={quote(name)}"
        size = texts.BIG_BYTES if callable(data) else len(data)
        picture = kind == "image/png"
        file: Native = {
            "url": f"{self.base}/api/v2/attachments/{number}.json", "id": number, "file_name": name,
            "content_url": url, "mapped_content_url": url, "content_type": kind, "size": size,
            "width": 16 if picture else None, "height": 16 if picture else None, "inline": inline, "deleted": False,
            "malware_access_override": False, "malware_scan_result": "malware_not_found", "thumbnails": [],
        }  # fmt: skip
        self.files[token] = data
        comment["attachments"].append(file)
        if inline:
            image = f'<p><img src="{html.escape(url)}" alt="{html.escape(name)}"></p></div>'
            comment["html_body"] = comment["html_body"].removesuffix("</div>") + image
        return file

    def _odd_tickets(self) -> None:
        """Give every third ticket from 3 on one oddity, while both last."""
        usable = [ticket for ticket in self.streams["tickets"][2::3] if ticket["status"] != "deleted"]
        queue = iter(usable)
        for plain, markup in texts.ODD_TEXTS.values():
            if (ticket := next(queue, None)) is not None:
                moment = self._after(ticket)
                author = ticket["requester_id"]
                self._comment(ticket, author, plain, moment, public=True, channel="email", markup=markup)
        for subject in (texts.LONG_SUBJECT, "", None, "  spaces around  ", "<b>markup</b> & \"quotes\" 'too'"):
            if (ticket := next(queue, None)) is not None:
                ticket.update(subject=subject, raw_subject=subject)
        for name in texts.AWKWARD_NAMES:
            if (ticket := next(queue, None)) is not None:
                self._attach(
                    self.comments[ticket["id"]][0], name, "application/octet-stream", b"the same bytes each time\n"
                )
        if (ticket := next(queue, None)) is not None:
            self._attach(self.comments[ticket["id"]][0], "backup.zip", "application/zip", texts.big)
        for colour in (10, 200):
            if (ticket := next(queue, None)) is not None:
                self._attach(
                    self.comments[ticket["id"]][0], "image001.png", "image/png", texts.png(colour, 0, 0), inline=True
                )
        people = self.streams["users"]
        for user in (people[7], people[6], *(user for user in people[8:] if user["suspended"] or not user["active"])):
            if (ticket := next(queue, None)) is not None:  # authors who are deleted or suspended
                self._comment(
                    ticket, user["id"], "Written before I left.", self._after(ticket), public=True, channel="web"
                )

    def _after(self, ticket: Native) -> datetime:
        last = datetime.fromisoformat(self.comments[ticket["id"]][-1]["created_at"])
        return last + timedelta(minutes=self.dice.randint(1, 600))

    def _problems(self) -> None:
        alive = [ticket for ticket in self.streams["tickets"] if ticket["status"] not in ("deleted", "new")]
        for place in range(0, min(len(alive), 40) - 4, 20):
            problem, *incidents = alive[place : place + 4]
            problem.update(type="problem", has_incidents=True)
            for incident in incidents:
                incident.update(type="incident", problem_id=problem["id"])

    def _ratings(self) -> None:
        for ticket in self.streams["tickets"]:
            if ticket["status"] not in ("solved", "closed") or ticket["id"] % 4:
                continue
            good = ticket["id"] % 12 != 0
            words = ("Sehr schnell, danke! 🎉" if good else "Took three weeks :(") if ticket["id"] % 8 == 0 else None
            rating = {"assignee_id": ticket["assignee_id"], "group_id": ticket["group_id"], "comment": words}
            rating |= {"requester_id": ticket["requester_id"], "ticket_id": ticket["id"]}
            made = self._add(
                "satisfaction_ratings", self._after(ticket), {**rating, "score": "good" if good else "bad"}
            )
            ticket["satisfaction_rating"] = {"score": made["score"], "id": made["id"], "comment": words}

    def _close(self) -> None:
        """Set what follows from the comments: description, time of the last change, whether anything is public."""
        limit = text(START + timedelta(days=DAYS + 10))
        for ticket in self.streams["tickets"]:
            comments = self.comments[ticket["id"]]
            ticket["description"] = comments[0]["plain_body"]
            last = max(comment["created_at"] for comment in comments)
            for comment in comments:
                comment["created_at"] = min(comment["created_at"], limit)
            ticket["updated_at"] = min(last, limit)
            ticket["generated_timestamp"] = int(datetime.fromisoformat(ticket["updated_at"]).timestamp()) + 1
            ticket["is_public"] = any(comment["public"] for comment in comments)
            self.streams["ticket_comments"] += [{"ticket_id": ticket["id"], "comment": item} for item in comments]
