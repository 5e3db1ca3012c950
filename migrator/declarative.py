"""Source and Destination played from ``connector.yaml``: lists and pages, creation, and looking up what is in doubt."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import lru_cache
from types import ModuleType
from typing import Any, get_type_hints

import msgspec
from requests.utils import parse_header_links

from migrator.connector import Cursor, Finding, Native, Page, Raw, Unit, Written, at_path
from migrator.errors import AbsentError, AccessError, MigratorError, RefusedError, UnknownOutcomeError, VendorError
from migrator.http import Client
from migrator.manifest import Manifest, Stream, Write
from migrator.mapping import Mapping as VendorMapping
from migrator.mapping import word

PARENTS_A_PAGE = 50  # child lists fetched for one durable step
DOUBT_SECONDS = 120  # clocks differ: look back this much before a call was sent


class Declarative:
    """One account, played from its manifest. ``hooks`` holds the named functions of a vendor that is odd somewhere."""

    def __init__(
        self,
        manifest: Manifest,
        mapping: VendorMapping,
        client: Client,
        hooks: ModuleType | None = None,
        *,
        workers: int = 4,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.vendor, self.manifest, self.mapping, self.client = manifest.vendor, manifest, mapping, client
        self.hooks, self.workers, self.options = hooks, workers, options or {}

    # ---- reading ----------------------------------------------------------------------------------------------------

    def streams(self) -> list[str]:
        """Return the streams, parents before children."""
        read = self.mapping.streams()
        needed = [*read, *(spec.parent for s in read if (spec := self.manifest.streams[s]).parent)]
        return sorted(dict.fromkeys(s for s in needed if s), key=self._depth)

    def _depth(self, stream: str) -> int:
        parent = self.manifest.streams[stream].parent
        return 1 + self._depth(parent) if parent else 0

    def pages(
        self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]], *, view: bool = True
    ) -> Iterator[Page]:
        """Yield the stream's pages; ``view=False`` leaves listed records as the list shows them."""
        spec = self.manifest.streams[stream]
        if spec.hook:
            yield from self._hook(spec.hook)(self, stream, start, parents)
        elif spec.parent:
            yield from self.children(stream, start, parents)
        else:
            for page in self._list(spec, spec.path, dict(spec.params), start):
                yield self._viewed(spec, page) if view and spec.view else page

    def _hook(self, name: str) -> Callable[..., Any]:
        found = getattr(self.hooks, name, None)
        if found is None:
            raise VendorError(f"{self.vendor}: connector.yaml names the hook '{name}', which hooks.py does not have")
        return found  # type: ignore[no-any-return]

    def children(self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]]) -> Iterator[Page]:
        """Yield one list for each parent, several fetched at a time, in the parents' order."""
        spec = self.manifest.streams[stream]
        after = tuple((start or {}).get("after", ()))
        ids = [id for id in parents(spec.parent or "") if not after or (len(id), id) > after]
        if not ids:
            yield Page([], start or {}, done=True)
        with ThreadPoolExecutor(self.workers) as pool:
            for at in range(0, len(ids), PARENTS_A_PAGE):
                some = ids[at : at + PARENTS_A_PAGE]
                lists = list(pool.map(lambda id: self.child(spec, id), some))
                records = [record for each in lists for record in each]
                last = some[-1]
                yield Page(records, {"after": [len(last), last]}, done=at + PARENTS_A_PAGE >= len(ids))

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
                return None  # gone between the list and the look
            return Raw(record.id, body, record.updated_at)

        with ThreadPoolExecutor(self.workers) as pool:
            records = [record for record in pool.map(view, page.records) if record]
        return Page(records, page.cursor, page.done)

    def _list(self, spec: Stream, path: str, params: dict[str, Any], start: Cursor | None) -> Iterator[Page]:
        """Yield pages; the cursor is ``{"of": which fixed query, "url" or "params": where it goes on}``."""
        at = dict(start or {"of": 0})
        if at.get("done"):
            at = {**at, "done": False}
        while True:
            query = {**params, **spec.each[at["of"]], **at.get("params", {})}
            query = {k: word(v) if isinstance(v, bool) else v for k, v in query.items()}
            if spec.paging.style != "none":
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
        if style == "next":
            return {"of": of, "url": envelope.next_page} if envelope.next_page else None
        if style == "link":
            following = next(
                (part["url"] for part in parse_header_links(link or "") if part.get("rel") == "next"), None
            )
            pages = int(at.get("pages", 1))
            if not following:
                return None
            if spec.window and spec.paging.most and pages >= spec.paging.most:
                field, param = spec.window
                newest = json.loads(records[-1].body)[field]
                if newest == query.get(param):
                    raise VendorError(f"{spec.path}: more than {spec.paging.most} pages changed in one second")
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

    # ---- writing ----------------------------------------------------------------------------------------------------

    def create(self, unit: Unit) -> Written:
        """Carry out one unit."""
        write = self._write(unit)
        call = write.create
        assert call is not None
        payload, files = self._payload(write, unit)
        path = _filled(call.path, unit.refs)
        if call.body:
            payload = self._hook(call.body)(payload)
        body: Native = {call.wrap: payload} if call.wrap else payload
        how: dict[str, Any] = {"data": form(body), "files": files} if files else {"json": body}
        response = self.client.write(call.method, path, **how)
        try:
            answer = response.json()
            return self._written(write, unit, answer.get(call.wrap, answer) if call.wrap else answer)
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            raise UnknownOutcomeError(
                f"{call.method} {path}: {response.status_code}, with an unreadable answer"
            ) from err

    def find(self, unit: Unit, known: set[str]) -> Written | None:
        """Look up what a call in doubt made."""
        write = self._write(unit)
        search, call = write.find, write.create
        if search is None or call is None or not search.stream:
            raise VendorError(f"{self.vendor}: nothing tells whether {unit.kind} {unit.id} was written")
        spec = self.manifest.streams[search.stream]
        since = datetime.fromisoformat(unit.sent_at) - timedelta(seconds=DOUBT_SECONDS)
        words = {**unit.refs, "sent_at": since.strftime("%Y-%m-%dT%H:%M:%SZ")}
        params = {name: _filled(str(value), words) for name, value in search.params.items()}
        payload, _ = self._payload(write, unit, files=False)
        if call.body:
            payload = self._hook(call.body)(payload)
        path = _filled(search.path or spec.path, words)
        for page in self._list(spec, path, {**spec.params, **params}, None):
            for record in page.records:
                native = json.loads(record.body)
                if self._named(unit, record.id) not in known and self._same(write, unit, payload, native):
                    if spec.view and "{id}" in spec.view:
                        native = self.client.read(spec.view.replace("{id}", record.id)).json()
                    return self._written(write, unit, native)
        return None

    def _same(self, write: Write, unit: Unit, payload: Native, native: Native) -> bool:
        search = write.find
        assert search is not None
        if search.key_in:
            held = at_path(native, search.key_in) or {}
            return bool(held.get(unit.keys.get(write.key_field or "", "")) == unit.key)
        for theirs, ours in search.match.items():
            found, wanted = at_path(native, theirs), at_path(payload, ours)
            if search.as_html:
                from migrator.stage import html_form

                found, wanted = html_form(str(found or "")), html_form(str(wanted or ""))
            if found is None or str(found).strip() != str(wanted).strip():
                return False
        return bool(search.match)

    def _named(self, unit: Unit, id: str) -> str:
        """Return a new record's id the way it is read: with the text its mapping puts before it."""
        variant = next(v for v in self.mapping.kinds[unit.kind] if v.name == unit.variant)
        parts = variant.id_parts()
        return "".join(text for text, _ in parts) + id if len(parts) == 1 else id

    def _write(self, unit: Unit) -> Write:
        write = self.manifest.write(unit.kind, unit.variant)
        if write is None or write.create is None:
            raise VendorError(f"{self.vendor}: connector.yaml declares no way to write {unit.kind}")
        return write

    def _payload(self, write: Write, unit: Unit, *, files: bool = True) -> tuple[Native, list[Any]]:
        payload: Native = _without_nulls({**write.constants, **unit.payload})
        attached: list[Any] = []
        merged = False
        for child in unit.children:
            embed = write.embeds[child.kind]
            if embed.how == "merge":
                payload.update(_without_nulls(child.payload))
                merged = True
            elif embed.how == "list":
                payload.setdefault(embed.path or "", []).append(child.payload[embed.value or ""])
            elif files and child.blob:
                attached.append(
                    (embed.path, (child.payload["name"], child.blob.read_bytes(), child.payload.get("content_type")))
                )
        if not merged:
            for embed in write.embeds.values():
                for path, value in embed.filler.items():
                    payload.setdefault(path, value)
        return payload, attached

    def _written(self, write: Write, unit: Unit, answer: Native) -> Written:
        call = write.create
        assert call is not None
        id = str(answer[call.id])
        children: dict[tuple[str, str], str] = {}
        places: dict[str, int] = {}
        for child in unit.children:
            embed = write.embeds[child.kind]
            if embed.how == "files":
                if child.blob is None:
                    continue
                place = places[child.kind] = places.get(child.kind, -1) + 1
                children[child.kind, child.id] = str((at_path(answer, embed.answer or "") or [])[place]["id"])
            else:
                variant = next(v for v in self.mapping.kinds[child.kind] if v.name == child.variant)
                value = str(child.payload.get(embed.value or "", ""))
                words = {"@id": id, "^.id": id, "@value": value}
                children[child.kind, child.id] = "".join(text + words[path] for text, path in variant.id_parts())
        key = str(answer[call.key]) if call.key and answer.get(call.key) is not None else None
        return Written(self._named(unit, id), key, children)


class _Envelope(msgspec.Struct):
    next_page: str | None = None
    after_cursor: str | None = None
    end_of_stream: bool | None = None
    end_time: int | None = None


@lru_cache(maxsize=64)
def _decoders(items: str | None, id: str, updated_at: str | None) -> tuple[Any, Any]:
    raws = list[msgspec.Raw]
    page: Any = raws
    if items:
        fields = [(name, kind, None) for name, kind in get_type_hints(_Envelope).items()]
        page = msgspec.defstruct("Envelope", [*fields, (items, raws, msgspec.field(default_factory=list))])
    keys = msgspec.defstruct(
        "Key",
        [
            ("id", str | int, msgspec.field(name=id)),
            ("updated_at", str | int | None, msgspec.field(name=updated_at or "-", default=None)),
        ],
    )
    return msgspec.json.Decoder(page), msgspec.json.Decoder(keys)


def split(
    content: bytes, items: str | None, id: str = "id", updated_at: str | None = "updated_at"
) -> tuple[Any, list[Raw]]:
    """Return the envelope and the records of a page, each body left whole; a page is parsed once, and not into objects.

    Raises msgspec.MsgspecError for what is not such a page.
    """
    page, keys = _decoders(items, id, updated_at)
    envelope = page.decode(content)
    raws = getattr(envelope, items) if items else envelope
    records = []
    for raw in raws:
        key = keys.decode(raw)
        records.append(Raw(str(key.id), bytes(raw), str(key.updated_at) if key.updated_at is not None else None))
    return (envelope if items else _Envelope()), records


def form(body: Native, prefix: str = "") -> list[tuple[str, str]]:
    """Return a payload as form fields, the way Rails reads them: ``custom_fields[cf_x]``, ``tags[]``."""
    fields: list[tuple[str, str]] = []
    for name, value in body.items():
        label = f"{prefix}[{name}]" if prefix else name
        if isinstance(value, dict):
            fields += form(value, label)
        elif isinstance(value, list):
            fields += [(f"{label}[]", word(each)) for each in value]
        elif value is not None:
            fields.append((label, word(value)))
    return fields


def _without_nulls(payload: Native) -> Native:
    kept = {}
    for name, value in payload.items():
        if isinstance(value, dict):
            value = _without_nulls(value)
            if not value:
                continue
        if value is not None:
            kept[name] = value
    return kept


def _filled(template: str, words: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: words.get(found[1], found[0]), template)
