"""Recorded traffic of DNS vendors (vcrpy cassettes of dns-lexicon) played to a connector, and what it sends noted."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import yaml
from requests.adapters import BaseAdapter

from migrator.migration import Account
from migrator.project import side
from migrator.zones.account import ZoneAccount


@dataclass(frozen=True)
class Sent:
    """A request as the connector sent it."""

    method: str
    path: str
    body: bytes = b""
    query: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    status: int = 200
    answer: bytes = b""
    answer_headers: dict[str, str] = field(default_factory=dict)


class Played(BaseAdapter):
    """Answers as recorded, by method and path; ``sent`` are the requests. What was not recorded is answered 404."""

    def __init__(self, answers: dict[tuple[str, str], Any]) -> None:
        super().__init__()
        self.answers, self.sent = answers, list[Sent]()

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:  # type: ignore[override]
        """Answer."""
        url = urlsplit(str(request.url))
        body = request.body or b""
        self.sent.append(Sent(str(request.method), url.path, body if isinstance(body, bytes) else body.encode()))
        found = self.answers.get((str(request.method), url.path))
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = 200 if found is not None else 404, request, str(request.url)
        content = found if isinstance(found, bytes) else json.dumps(found if found is not None else {}).encode()
        answer.raw = io.BytesIO(content)
        answer.headers["Content-Type"] = "text/xml" if content[:5] == b"<?xml" else "application/json"
        return answer

    def close(self) -> None:
        """Nothing is open."""


def cassette(path: Path) -> list[dict[str, Any]]:
    """Return a cassette's exchanges."""
    found = yaml.load(path.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return list(found["interactions"])


def lists(path: Path) -> list[tuple[str, bytes]]:
    """Return the successful GETs of a cassette: (path, answer)."""
    found = []
    for one in cassette(path):
        if one["request"]["method"] == "GET" and one["response"]["status"]["code"] == 200:
            said = one["response"]["body"]["string"]
            found.append((urlsplit(one["request"]["uri"]).path, said.encode() if isinstance(said, str) else said))
    return found


def opened(vendor: str, url: str, adapter: Played, monkeypatch: Any, **settings: str) -> ZoneAccount:
    """Return an account that the adapter answers for."""
    from migrator import registry

    monkeypatch.setenv("MIGRATOR_TEST_DNS", "not-a-secret")
    secrets = dict.fromkeys(registry.connector(vendor).manifest.secrets, "env:MIGRATOR_TEST_DNS")
    account = Account(vendor=vendor, url=url, settings=settings, secrets=secrets)
    session = requests.Session()
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    found = side(account, None, "test").open(session=session, sleep=lambda seconds: None)
    assert isinstance(found, ZoneAccount)
    return found
