"""Replaying recorded Zendesk exchanges against the sandbox and comparing the shapes of the answers."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from migrator.testing.sandbox import Sandbox

SERVED = re.compile(
    r"/api/v2/(groups|group_memberships|users|tickets|uploads|job_statuses|ticket_fields|user_fields|tags"
    r"|incremental/users|search/export)(/|\.|$)"
)
NOT_SERVED = re.compile(r"redact")


@dataclass(frozen=True)
class Recording:
    """One recorded exchange: ``body`` and ``answer`` are bytes, gzip undone."""

    file: str
    method: str
    path: str  # with the query
    body: bytes
    status: int
    answer: bytes

    @property
    def name(self) -> str:
        """Return the method and path with ids left out, such as ``PUT /api/v2/users/N.json 404``."""
        return f"{self.method} {re.sub(r'[A-Za-z0-9-]*[0-9]{2,}[A-Za-z0-9-]*', 'N', self.path.split('?')[0])}"


def recordings(folder: Path) -> Iterator[Recording]:
    """Yield the exchanges of betamax cassettes, file by file, that the sandbox has endpoints for."""
    files = (file for file in folder.glob("*.json") if "DeletedTickets" not in file.name)
    for file in sorted(files, key=lambda file: (case_of(file.name), "tearDown" in file.name, file.name)):
        for item in json.loads(file.read_text("utf-8"))["http_interactions"]:
            path = re.sub(r"^https?://[^/]+", "", item["request"]["uri"])
            if SERVED.match(path) and not NOT_SERVED.search(path):
                request, response = item["request"], item["response"]
                yield Recording(
                    file.name,
                    request["method"],
                    path,
                    _bytes(request["body"]),
                    response["status"]["code"],
                    _bytes(response["body"]),
                )


def case_of(file: str) -> str:
    """Return which of zenpy's tests a cassette belongs to; a test's ``tearDown`` has a cassette of its own."""
    return file.removesuffix(".json").split("-")[0]


def _bytes(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode()
    if body.get("base64_string"):
        data = base64.b64decode(body["base64_string"])
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    return str(body.get("string", "")).encode()


class Replay:
    """Sends recorded requests to a sandbox, with the ids that the sandbox gave in place of the recorded ones."""

    def __init__(self, box: Sandbox, desk: requests.Session) -> None:
        self.box, self.desk, self.ids = box, desk, {}  # type: Sandbox, requests.Session, dict[str, str]

    def __call__(self, recording: Recording) -> requests.Response:
        """Return the sandbox's answer to a recorded request, after remembering which new id stands for which old."""
        path, body = self._with_ours(recording.path), self._with_ours(recording.body.decode("utf-8", "replace"))
        path = re.sub(r"(page%5B(?:after|before)%5D|cursor)=[^&]*&?", "", path)  # cursors of another account
        if "incremental" in path and "start_time" not in path:
            path += ("" if path.endswith(("?", "&")) else "&") + "start_time=0"
        if b'"completed"' in recording.answer:
            self.box.clock.sleep(20)
        body = body or ("bytes that were not recorded" if "uploads.json" in path else "")
        kind = "application/octet-stream" if "uploads" in path else "application/json"
        answer = self.desk.request(
            recording.method, self.box.base_url + path, data=body.encode() or None, headers={"Content-Type": kind}
        )
        self._learn(recording.answer, answer.content)
        return answer

    def _with_ours(self, text: str) -> str:
        return re.sub(r"V3-\w+|\b[0-9A-Za-z]{6,}\b|(?<=[/,= ])\d+\b", lambda word: self.ids.get(word[0], word[0]), text)

    def _learn(self, theirs: bytes, ours: bytes) -> None:
        try:
            left, right = json.loads(theirs), json.loads(ours)
        except ValueError:
            return
        for pair in _pairs(left, right):
            for field in ("id", "token"):
                if field in pair[0] and field in pair[1]:
                    self.ids[str(pair[0][field])] = str(pair[1][field])


def _pairs(left: Any, right: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    if isinstance(left, dict) and isinstance(right, dict):
        for key in ("user", "group", "ticket", "upload", "job_status", "ticket_field", "user_field"):
            if isinstance(left.get(key), dict) and isinstance(right.get(key), dict):
                yield left[key], right[key]
                results = left[key].get("results"), right[key].get("results")
                if isinstance(results[0], list) and isinstance(results[1], list):
                    yield from zip(*results, strict=False)


def differences(theirs: Any, ours: Any, where: str = "") -> Iterator[str]:
    """Yield how the shape of ``ours`` differs: a key that is missing, a JSON type that is another (null fits any)."""
    if theirs is None or ours is None:
        return
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key, value in theirs.items():
            if key not in ours:
                yield f"{where}/{key} is missing"
            else:
                yield from differences(value, ours[key], f"{where}/{key}")
    elif isinstance(theirs, list) and isinstance(ours, list):
        if theirs and ours:
            yield from differences(theirs[0], ours[0], f"{where}/0")
    elif _kind(theirs) != _kind(ours):
        yield f"{where} is {_kind(ours)}, recorded as {_kind(theirs)}"


def _kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
