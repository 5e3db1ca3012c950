"""A Source played from ``connector.yaml``: lists and pages, one by one and side by side (``delivery`` writes)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from types import ModuleType
from typing import Any, get_type_hints

import msgspec
from requests.utils import parse_header_links

from migrator.connector import Cursor, Finding, Page, Raw, at_path
from migrator.errors import (
    AbsentError,
    AccessError,
    HeldError,
    InputError,
    MigratorError,
    RefusedError,
    TruncatedError,
    VendorError,
)
from migrator.http import Client
from migrator.manifest import Manifest, Stream
from migrator.mapping import Mapping as VendorMapping
from migrator.mapping import word
from migrator.seals import sealed

PARENTS_A_PAGE = 50  # child lists fetched for one durable step
MOST_PASSES = 10  # of a list without a stable order
DOUBT_SECONDS = 120  # clocks differ: look back this much before a call was sent


def _nothing_given(name: str) -> str:
    raise InputError(f"the account gives no '{name}'")


class Declarative:
    """One account, played from its manifest. ``hooks`` holds the named functions of a vendor that is odd somewhere.

    A vendor that is odder still brings a class of its own (``connection.py``), which is opened in place of this one;
    ``channels`` are the ones chosen in ``migration.yaml``, ``given`` returns a setting or a secret by its name.
    """

    def __init__(
        self,
        manifest: Manifest,
        mapping: VendorMapping,
        client: Client,
        hooks: ModuleType | None = None,
        *,
        workers: int = 4,
        options: Mapping[str, str] | None = None,
        channels: Sequence[str] = (),
        given: Callable[[str], str] = _nothing_given,
    ) -> None:
        self.vendor, self.manifest, self.mapping, self.client = manifest.vendor, manifest, mapping, client
        self.hooks, self.workers, self.options = hooks, workers, options or {}
        self.channels, self.given = tuple(channels), given

    # ---- reading ----------------------------------------------------------------------------------------------------

    def streams(self) -> list[str]:
        """Return the streams, parents before children."""
        read = self.mapping.streams()
        read = [*read, *(s for s, spec in self.manifest.streams.items() if spec.into in read)]
        needed = [*read, *(spec.parent for s in read if (spec := self.manifest.streams[s]).parent)]
        return sorted(dict.fromkeys(s for s in needed if s), key=self._depth)

    def _depth(self, stream: str) -> int:
        parent = self.manifest.streams[stream].parent
        return 1 + self._depth(parent) if parent else 0

    def pages(
        self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]], *, view: bool = True
    ) -> Iterator[Page]:
        """Yield the stream's pages; ``view=False`` leaves listed records as the list shows them.

        ``parents`` may be asked for the stream itself too, by one that goes on: {id: date of change} as staged.
        """
        for page in self._pages(stream, start, parents, view=view):
            also = {other: self._sealed(other, records) for other, records in page.also.items()}
            yield replace(page, records=self._sealed(stream, page.records), also=also)

    def _sealed(self, stream: str, records: list[Raw]) -> list[Raw]:
        """Return the records without the secrets in them."""
        spec = self.manifest.streams.get(stream)
        if spec is None or not spec.secrets:
            return records
        return [replace(record, body=sealed(record.body, spec.secrets)) for record in records]

    def _pages(
        self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]], *, view: bool
    ) -> Iterator[Page]:
        spec = self.manifest.streams[stream]
        if spec.hook:
            yield from self._hook(spec.hook)(self, stream, start, parents)
        elif spec.parent:
            yield from self.children(stream, start, parents)
        elif spec.again or spec.since:
            yield from self._passes(stream, start, parents, view=view)
        else:
            for page in self._list(spec, spec.path, dict(spec.params), start):
                yield self._viewed(spec, page) if view and spec.view else page

    def list_of(self, stream: str, start: Cursor | None) -> Iterator[Page]:
        """Yield the pages of a stream's list as the vendor has it, for a hook that adds to them."""
        spec = self.manifest.streams[stream]
        yield from self._list(spec, spec.path, dict(spec.params), start)

    def _hook(self, name: str) -> Callable[..., Any]:
        found = getattr(self.hooks, name, None)
        if found is None:
            raise VendorError(f"{self.vendor}: connector.yaml names the hook '{name}', which hooks.py does not have")
        return found  # type: ignore[no-any-return]

    def children(
        self,
        stream: str,
        start: Cursor | None,
        parents: Callable[[str], Iterable[str]],
        child: Callable[[Stream, str], list[Raw]] | None = None,
    ) -> Iterator[Page]:
        """Yield one list for each parent, several fetched at a time, in the parents' order; ``child`` fetches one."""
        spec, read = self.manifest.streams[stream], child or self.child
        after = tuple((start or {}).get("after", ()))
        ids = [id for id in parents(spec.parent or "") if not after or (len(id), id) > after]
        if not ids:
            yield Page([], start or {}, done=True)
        step, pacer = self.workers * 3, self.client.pacer

        def at_once(id: str) -> list[Raw] | None:
            try:
                with pacer.hasty():
                    return read(spec, id)
            except HeldError:
                return None

        with ThreadPoolExecutor(self.workers) as pool:
            while ids:
                lists, kept = list[list[Raw]](), False
                while len(lists) < min(PARENTS_A_PAGE, len(ids)) and not kept:
                    # The first waits as long as it must; what came by then is handed over before the rest waits.
                    first = [] if lists else [pool.submit(read, spec, ids[0])]
                    some = ids[len(lists) + len(first) : len(lists) + step]
                    others = pool.map(at_once, some)
                    came = [*(future.result() for future in first), *others]
                    lists += itertools.takewhile(lambda one: one is not None, came)  # type: ignore[arg-type]
                    kept = None in came and len(lists) > len(first)
                taken, ids = ids[: len(lists)], ids[len(lists) :]
                records = [record for each in lists for record in each]
                whole = {id: [record.id for record in each] for id, each in zip(taken, lists, strict=True)}
                yield Page(records, {"after": [len(taken[-1]), taken[-1]]}, not ids, whole={stream: whole})

    def child(self, spec: Stream, parent: str) -> list[Raw]:
        """Return the whole list of one parent."""
        try:
            pages = self._list(spec, spec.path.replace("{parent}", parent), dict(spec.params), None)
            return [Raw(record.id, record.body, record.updated_at, parent) for page in pages for record in page.records]
        except AbsentError:
            if spec.absent:
                return []
            raise

    def _viewed(self, spec: Stream, page: Page) -> Page:
        def view(record: Raw) -> Raw | None:
            try:
                body = self.client.read((spec.view or "").replace("{id}", record.id)).content
            except AbsentError:
                # Gone between the list and the look; but of one in an odd state the list is all there is.
                return record if spec.note and spec.note[1] in json.loads(record.body) else None
            if spec.note and (said := json.loads(record.body).get(spec.note[1])) is not None:
                body = noted(body, spec.note[1], said)
            return Raw(record.id, body, record.updated_at)

        with ThreadPoolExecutor(self.workers) as pool:
            records = [record for record in pool.map(view, page.records) if record]
        return Page(records, page.cursor, page.done)

    def _passes(
        self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]], *, view: bool
    ) -> Iterator[Page]:
        """Yield a list without a stable order, pass after pass until one shows nothing that was there all along.

        A record that leaves its page while the list is read moves the next one to a page that was read already: it is
        in none of them. The cursor is ``{"list": the list's own, "pass": which, "since": the parameter of this round,
        "newest": the latest change seen, "bound": the latest seen when this pass began, "old": records of this pass
        that were there before it and unknown, "next": from where the next round goes on}``.
        """
        spec, at = self.manifest.streams[stream], dict(start or {})
        resumed = bool(at) and not at.get("done")
        if not resumed:
            since = at.get("next")
            at = {"pass": 1, "since": since, "newest": since, "bound": None, "old": 0, "answers": 0, "list": None}
        at["goes_on"] = spec.since is not None
        staged: dict[str, str | None] = {}
        if resumed or at["since"]:
            staged = dict(parents(stream))  # type: ignore[arg-type]
        params = dict(spec.params)
        if spec.since and at["since"]:
            params[spec.since[1]] = at["since"]
        seen: dict[str, tuple[int, str | None]] = {id: (0, changed) for id, changed in staged.items()}
        while at["pass"] <= MOST_PASSES:
            for page in self._list(spec, spec.path, params, at["list"]):
                of = (at["list"] or {}).get("of", 0)
                at["newest"] = max(filter(None, [at["newest"], *(r.updated_at for r in page.records)]), default=None)
                at["bound"] = at["bound"] or at["newest"]
                fresh, before = [], 0
                for record in page.records:
                    known = seen.get(record.id)
                    if known is None or known[1] != record.updated_at or (at["pass"] == 1 and known[0] != of):
                        fresh.append(record)
                        overlooked = known is None and (record.updated_at or "") <= (at["bound"] or "")
                        before += at["pass"] > 1 and overlooked
                        seen[record.id] = (of, record.updated_at)
                at.update({"list": page.cursor, "old": at["old"] + before, "answers": at["answers"] + 1})
                if page.done:
                    break
                yield self._shown(spec, Page(fresh, dict(at), False), view=view)
            shaky = at["pass"] == 1 and at["answers"] > len(spec.each)  # what fits one answer each cannot move
            if not (spec.again and (shaky or at["old"])):
                done = {"goes_on": at["goes_on"], "done": True, "next": at["bound"] if spec.again else at["newest"]}
                yield self._shown(spec, Page(fresh, done, True), view=view)
                return
            at.update({"list": None, "bound": at["newest"], "old": 0, "pass": at["pass"] + 1})
            yield self._shown(spec, Page(fresh, dict(at), False), view=view)
        raise TruncatedError(f"{self.vendor}: the list of {stream} shows other records each time; extract again")

    def _shown(self, spec: Stream, page: Page, *, view: bool) -> Page:
        return self._viewed(spec, page) if view and spec.view else page

    def _list(self, spec: Stream, path: str, params: dict[str, Any], start: Cursor | None) -> Iterator[Page]:
        """Yield pages; the cursor is ``{"of": which fixed query, "url" or "params": where it goes on}``."""
        at = dict(start or {"of": 0})
        if at.get("done"):
            at = {**at, "done": False}
        while True:
            query = {**params, **spec.each[at["of"]], **at.get("params", {})}
            query = {k: word(v) if isinstance(v, bool) else v for k, v in query.items()}
            if spec.paging.style != "none" and spec.paging.size_param:
                query.setdefault(spec.paging.size_param, spec.paging.size)
            try:
                response = self.client.read(at["url"]) if at.get("url") else self.client.read(path, query)
            except AbsentError:
                if not spec.absent:
                    raise
                yield Page([], at, done=True)
                return
            try:
                envelope, records = split(response.content, spec.items, spec.id, spec.updated_at)
            except msgspec.MsgspecError as err:
                raise VendorError(f"GET {path}: the answer is not the JSON it should be ({err})") from err
            if spec.note and query.get(spec.note[0]) is not None:
                records = [replace(r, body=noted(r.body, spec.note[1], query[spec.note[0]])) for r in records]
            if spec.paging.style in ("token", "offset") or spec.paging.told:
                following = _told_next(spec, at, query, response.content, len(records))
            else:
                following = self._next(spec, at, query, envelope, records, response.headers.get("Link"))
            if following is None and at["of"] + 1 < len(spec.each):
                following = {"of": at["of"] + 1}
            done = following is None or bool(following.get("done"))
            at = following if following is not None else {**at, "done": True}
            yield Page(records, at, done)
            if done:
                return

    def _next(
        self, spec: Stream, at: Cursor, query: dict[str, Any], envelope: Any, records: list[Raw], link: str | None
    ) -> Cursor | None:
        style, of = spec.paging.style, at["of"]
        if style == "page":
            number = int(query.get("page", 1))
            return {"of": of, "params": {**at.get("params", {}), "page": number + 1}} if records else None
        if style == "next":
            more = envelope.links and envelope.meta and envelope.meta.get("has_more")
            url = envelope.links.get("next") if more else envelope.next_page
            return {"of": of, "url": url} if url else None
        if style == "link":
            following = next(
                (part["url"] for part in parse_header_links(link or "") if part.get("rel") == "next"), None
            )
            pages = int(at.get("pages", 1))
            if not following:
                return None
            if len(records) < spec.paging.size:
                raise TruncatedError(
                    f"{self.vendor}: a page of {spec.path} holds {len(records)} of {spec.paging.size} records, and "
                    "another follows; what was left out cannot be told, extract again"
                )
            if spec.window and spec.paging.most and pages >= spec.paging.most:
                field, param = spec.window
                newest = json.loads(records[-1].body)[field]
                if newest == query.get(param):
                    raise TruncatedError(f"{spec.path}: more than {spec.paging.most} pages changed in one second")
                return {"of": of, "params": {**at.get("params", {}), param: newest}, "pages": 1}
            return {"of": of, "params": at.get("params", {}), "url": following, "pages": pages + 1}
        if style == "cursor":
            cursor = {"of": of, "params": {"cursor": envelope.after_cursor}}
            return {**cursor, "done": True} if envelope.end_of_stream or not envelope.after_cursor else cursor
        if style == "time":
            cursor = {"of": of, "params": {"start_time": envelope.end_time or query.get("start_time")}}
            stuck = envelope.end_time is None or envelope.end_time == query.get("start_time")
            return {**cursor, "done": True} if envelope.end_of_stream or stuck else cursor
        return None

    def count(self, stream: str) -> int | None:
        """Return how many records the vendor counts, where it does."""
        counted = self.manifest.streams[stream].count
        if not counted:
            return None
        try:
            value: Any = self.client.read(counted[0]).json()
        except (RefusedError, AccessError):
            return None
        for step in counted[1].split("."):
            value = value.get(step) if isinstance(value, dict) else None
        return int(value) if isinstance(value, int) else None

    def blob(self, url: str) -> Iterator[bytes]:
        """Yield an attachment's bytes."""
        return self.client.download(url, most_bytes=2**31)

    def check(self) -> list[Finding]:
        """Try the credentials, then each right."""
        try:
            answer = self.client.read(self.manifest.check.path).json()
            if at_path(answer, self.manifest.check.id) is None:  # Zendesk answers a stranger with 200 and an empty user
                return [
                    Finding("credentials", False, f"{self.client.base_url} takes them for nobody's; check the secrets")
                ]
        except (MigratorError, ValueError) as err:
            return [Finding("credentials", False, str(err))]
        findings = [Finding("credentials", True, self.client.base_url)]
        for call, purpose in self.manifest.rights.items():
            try:
                self.client.read(call.partition(" ")[2])
                findings.append(Finding(purpose, True, call))
            except MigratorError as err:
                findings.append(Finding(purpose, False, str(err)))
        return findings


class _Envelope(msgspec.Struct):
    next_page: str | None = None
    after_cursor: str | None = None
    end_of_stream: bool | None = None
    end_time: int | None = None
    meta: dict[str, Any] | None = None
    links: dict[str, Any] | None = None


@lru_cache(maxsize=64)
def _decoders(items: str | None, id: str, updated_at: str | None) -> tuple[Any, Any]:
    raws = list[msgspec.Raw]
    page: Any = raws
    if items:
        fields = [(name, kind, None) for name, kind in get_type_hints(_Envelope).items()]
        first, _, rest = items.partition(".")
        page = msgspec.defstruct(
            "Envelope", [*fields, ("held", _nest(rest, raws), msgspec.field(name=first, default=None))]
        )
    changed, _, rest = (updated_at or "-").partition(".")
    keys = msgspec.defstruct(
        "Key",
        [
            ("id", str | int, msgspec.field(name=id)),
            ("updated_at", _nest(rest, str | int), msgspec.field(name=changed, default=None)),
        ],
    )
    return msgspec.json.Decoder(page), msgspec.json.Decoder(keys)


def _nest(path: str, kind: Any) -> Any:
    """Return the type of what holds ``kind`` at a dotted path (nothing: is it), or null."""
    for step in reversed(path.split(".") if path else []):
        kind = msgspec.defstruct("Step", [("held", kind | None, msgspec.field(name=step, default=None))])
    return kind | None


def _within(held: Any) -> Any:
    """Return what a nested value holds in the end."""
    while isinstance(held, msgspec.Struct):
        held = held.held  # type: ignore[attr-defined]
    return held


@lru_cache(maxsize=64)
def _teller(path: str) -> Any:
    return msgspec.json.Decoder(_nest(path, str | int | bool))


def _told_next(spec: Stream, at: Cursor, query: dict[str, Any], content: bytes, records: int) -> Cursor | None:
    """Return where a list goes on whose answers tell so themselves at ``paging.told``."""
    paging = spec.paging
    told = None
    if paging.told and content.lstrip()[:1] == b"{":
        told = _within(_teller(paging.told).decode(content))
    if paging.style == "token":
        following = told
    elif paging.style == "page":
        number = int(query.get(paging.param, 1))
        following = number + 1 if isinstance(told, int) and number < told else None
    else:
        following = None if told is True or not records else int(query.get(paging.param, 0)) + records
    if following is None or following == "":
        return None
    return {"of": at["of"], "params": {**at.get("params", {}), paging.param: following}}


def noted(body: bytes, key: str, value: Any) -> bytes:
    """Return a JSON object with one more key; the rest stays as it came."""
    return body.rstrip()[:-1] + b", " + json.dumps({key: value}).encode()[1:]


def split(
    content: bytes, items: str | None, id: str = "id", updated_at: str | None = "updated_at"
) -> tuple[Any, list[Raw]]:
    """Return the envelope and the records of a page, each body left whole; a page is parsed once, and not into objects.

    Raises msgspec.MsgspecError for what is not such a page.
    """
    page, keys = _decoders(items, id, updated_at)
    envelope = page.decode(content)
    raws = (_within(envelope.held) or []) if items else envelope
    records = []
    for raw in raws:
        key = keys.decode(raw)
        changed = _within(key.updated_at)
        records.append(Raw(str(key.id), bytes(raw), str(changed) if changed is not None else None))
    return (envelope if items else _Envelope()), records
