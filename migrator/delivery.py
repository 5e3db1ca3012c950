"""A Destination played from ``connector.yaml``: calls of one or many records, promises, and looking up doubt."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from migrator.connector import Child, Native, Outcome, Promise, Raw, Unit, Written, at_path, place
from migrator.declarative import Declarative
from migrator.errors import (
    AbsentError,
    MigratorError,
    RefusedError,
    RetryError,
    StoppedError,
    UnknownOutcomeError,
    VendorError,
)
from migrator.manifest import Call, Embed, Find, Jobs, Stream, Write
from migrator.mapping import word
from migrator.payloads import filled, form, holds, picked, without_nulls

DOUBT_SECONDS = 120  # look back this much before a call was sent: a vendor's machines differ a little too
UPLOAD_TRIES = 4  # bytes handed in twice harm nobody: what no record names is thrown away


class Deliverer(Declarative):
    """One account that is written too."""

    def accounts(self) -> list[Deliverer]:
        """Return the accounts that make the calls: this one, unless it is made of parts."""
        return [self]

    def part(self, kind: str) -> Deliverer:
        """Return the account that holds the kind: this one, unless it is made of parts."""
        return self

    def waits_seconds(self) -> float:
        """Return for how long yet the quotas let nobody go who waits for one; 0 where somebody may, or nobody waits."""
        pacers = [account.client.pacer for account in self.accounts()]
        return min((pacer.waits_seconds() for pacer in pacers if pacer.waiting_until is not None), default=0.0)

    def most(self, kind: str, variant: str, action: str = "create") -> int:
        """Return how many such units one call may carry."""
        write = self.manifest.write(kind, variant)
        call: Call | None = getattr(write, action) if write else None
        return call.many if call else 1

    def time(self) -> datetime:
        """Return the time by the vendor's clock: ours may be far off, and may be set while nobody looks."""
        if not self.client.calls:
            self.client.listen(self.manifest.check.path)  # a vendor out of reach will say so where it matters
        return self.client.vendor_now()

    def write(self, units: Sequence[Unit]) -> list[Outcome] | Promise:
        """Carry out one call with these units, all of one kind, variant and action."""
        write, call = self._declared(units[0])
        path = filled(call.path, {**units[0].refs, "id": units[0].there, "ids": ",".join(u.there for u in units)})
        if units[0].action == "delete":
            return self._deleted(call, path, units)
        bodies = [self._body(write, call, unit) for unit in units]
        body: Any = bodies if call.many > 1 else bodies[0]
        files = [file for unit in units for file in self._files(write, unit)]
        body = {call.wrap: body} if call.wrap else body
        how: dict[str, Any] = {"data": form(body), "files": files} if files else {"json": body}
        if call.headers:
            how["headers"] = {name: filled(value, units[0].refs) for name, value in call.headers.items()}
        response = self.client.write(call.method, path, **how)
        try:
            answer = response.json()
            if call.job:
                return Promise(str(_need(at_path(answer, self._jobs().id))))
            inner = answer.get(call.wrap, answer) if call.wrap else answer
            inner = self._hook(call.answer)(answer) if call.answer else inner
            written = self._written(write, call, units[0], inner)
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            raise UnknownOutcomeError(
                f"{call.method} {path}: {response.status_code}, with an unreadable answer"
            ) from err
        self._complete(write, units[0], written)
        return [written]

    def _complete(self, write: Write, unit: Unit, written: Written) -> None:
        """Make the second call of a new record. It may be made again: where it fails, the record is looked up first."""
        call = write.completes
        if call is None or unit.action != "create":
            return
        body = {**write.constants, **unit.payload}
        body = self._hook(call.body)(body) if call.body else body
        try:
            path = filled(call.path, {**unit.refs, "id": written.id})
            self.client.write(call.method, path, json={call.wrap: body} if call.wrap else body)
        except (RefusedError, StoppedError):
            raise
        except MigratorError as err:
            raise UnknownOutcomeError(f"{unit.kind} {unit.id} was made and is not complete: {err}") from err

    def activate(self, unit: Unit, switch: str) -> None:
        """Switch on a record that is there. May be called again: it is on or it is not."""
        write = self.manifest.write(unit.kind, unit.variant)
        call = write.activate if write else None
        if call is None:
            raise VendorError(f"{self.vendor}: connector.yaml declares no way to activate {unit.kind}")
        verb = self.mapping.variant(unit.kind, unit.variant).fields[switch]
        on = verb.back().get("true", True) if verb.values is not None else True
        body: Any = {verb.path or switch: on}
        body = {call.wrap: body} if call.wrap else body
        self.client.write(call.method, filled(call.path, {"id": unit.there}), json=body)

    def _deleted(self, call: Call, path: str, units: Sequence[Unit]) -> list[Outcome] | Promise:
        how: dict[str, Any] = {}
        if call.body:
            how["json"] = self._hook(call.body)([unit.there for unit in units])
        try:
            response = self.client.write(call.method, path, **how)
        except AbsentError:
            return [Written(unit.there) for unit in units]  # gone already
        if call.job:
            try:
                return Promise(str(_need(at_path(response.json(), self._jobs().id))))
            except (ValueError, KeyError) as err:
                raise UnknownOutcomeError(f"{call.method} {path}: with an unreadable answer") from err
        return [Written(unit.there) for unit in units]

    # ---- promises ---------------------------------------------------------------------------------------------------

    def _jobs(self) -> Jobs:
        if self.manifest.jobs is None:
            raise VendorError(f"{self.vendor}: connector.yaml declares a call as a job, and no jobs")
        return self.manifest.jobs

    def outcomes(self, jobs: Mapping[str, Sequence[Unit]]) -> dict[str, list[Outcome] | None]:
        """Return what became of promised units; None for a job under way, no entry for one nobody remembers."""
        spec, names = self._jobs(), list(jobs)
        found: dict[str, list[Outcome] | None] = {}
        for at in range(0, len(names), spec.many):
            some = ",".join(names[at : at + spec.many])
            for status in self.client.read(filled(spec.path, {"ids": some})).json().get(spec.items) or []:
                job, state = str(status.get("id")), status.get(spec.state)
                if job in jobs:
                    units = jobs[job]
                    failed: list[Outcome] = [None] * len(units)
                    done = self._results(status, units) if state in spec.done else failed
                    found[job] = None if state in spec.open else done
        return found

    def _results(self, status: Native, units: Sequence[Unit]) -> list[Outcome]:
        outcomes: list[Outcome] = [None] * len(units)
        for position, result in enumerate(status.get(self._jobs().results) or []):
            index = result.get("index", position)
            if not isinstance(index, int) or not 0 <= index < len(units):
                continue
            unit = units[index]
            if result.get("error"):
                answer = json.dumps(result, ensure_ascii=False)
                outcomes[index] = RefusedError(f"{unit.kind}: refused within a job", status=422, answer=answer)
            elif unit.action == "delete":
                outcomes[index] = Written(unit.there)
            elif result.get("id") is not None:
                write, call = self._declared(unit)
                outcomes[index] = self._written(write, call, unit, {call.id: result["id"]})
        return outcomes

    def jobs_open(self) -> bool:
        """Tell whether the account has jobs under way: what is looked up now may still come."""
        spec = self.manifest.jobs
        if spec is None:
            return False
        return any(job.get(spec.state) in spec.open for job in self.client.read(spec.all).json().get(spec.items) or [])

    # ---- doubt ------------------------------------------------------------------------------------------------------

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made: a list read once for all units it may hold."""
        found: list[Written | None] = [None] * len(units)
        lists: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, unit in enumerate(units):
            if unit.action != "create":
                found[index] = self._stands(unit)
                continue
            write, _ = self._declared(unit)
            search = write.find
            if search is None or not search.stream:
                raise VendorError(f"{self.vendor}: nothing tells whether {unit.kind} {unit.id} was written")
            lists[search.stream, filled(search.path or "", unit.refs)].append(index)
        for (_, path), places in lists.items():
            self._search(path, [(place, units[place]) for place in places], known, found)
        return found

    def _search(self, path: str, wanted: list[tuple[int, Unit]], known: set[str], found: list[Written | None]) -> None:
        write, call = self._declared(wanted[0][1])
        search = write.find
        assert search is not None
        spec = self.manifest.streams[search.stream or ""]
        since = datetime.fromisoformat(min(unit.sent_at for _, unit in wanted)) - timedelta(seconds=DOUBT_SECONDS)
        words = {"sent_at": since.strftime("%Y-%m-%dT%H:%M:%SZ"), "sent_second": str(int(since.timestamp()))}
        words = {**wanted[0][1].refs, **words}
        params = {name: filled(str(value), words) for name, value in search.params.items()}
        payloads = {index: self._body(write, call, unit, send=False) for index, unit in wanted}
        pages = (
            page
            for place in self._places(spec, path)
            for page in self._list(spec, place, {**spec.params, **params}, None)
        )
        for page in pages:
            for record in page.records:
                native = json.loads(record.body)
                if self._gone(search, native):
                    continue
                for index, unit in wanted:
                    named = self._named(unit, record.id)
                    if found[index] is None and named not in known and self._same(write, unit, payloads[index], native):
                        if spec.view and "{id}" in spec.view:
                            native = self.client.read(spec.view.replace("{id}", record.id)).json()
                        found[index] = made = self._written(write, call, unit, native)
                        self._complete(write, unit, made)
                        known = known | {named}
                        break

    def _places(self, spec: Stream, path: str) -> list[str]:
        """Return where a stream's records are listed: of one that lies within others, within each of them."""
        if path or spec.parent is None:
            return [path or spec.path]
        above = self.manifest.streams[spec.parent]
        pages = self._list(above, above.path, dict(above.params), None)
        return [spec.path.replace("{parent}", record.id) for page in pages for record in page.records]

    def _gone(self, search: Find | None, native: Native) -> bool:
        return bool(search) and any(
            word(at_path(native, path)) in [word(value) for value in values]
            for path, values in (search.unless if search else {}).items()
            if at_path(native, path) is not None
        )

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

    def _stands(self, unit: Unit) -> Written | None:
        """Tell whether a change, or a deletion, was carried out, by looking at the record."""
        native = self.look(unit)
        if unit.action == "delete":
            write = self.manifest.write(unit.kind, unit.variant)
            gone = native is None or self._gone(write.find if write else None, native)
            return Written(unit.there) if gone else None
        if native is None:
            raise RefusedError(f"{unit.kind} {unit.there} is no longer there", status=404)
        return Written(unit.there) if holds(native, unit.payload) else None

    def look(self, unit: Unit) -> Native | None:
        """Return the record as it stands at the vendor now, None where it is gone."""
        variant = self.mapping.variant(unit.kind, unit.variant)
        above = next((unit.refs.get(label) for label, verb in variant.fields.items() if verb.path == "@parent"), None)
        _, records = self.peek(unit.kind, unit.variant, [(unit.there, above)])
        return json.loads(records[0].body) if records else None

    def peek(self, kind: str, variant_name: str, targets: Sequence[tuple[str, str | None]]) -> tuple[str, list[Raw]]:
        """Return the stream of a kind's variant and the records there (id, its owner's) as they stand now."""
        variant = self.mapping.variant(kind, variant_name)
        spec = self.manifest.streams[variant.stream]
        ids = list(dict.fromkeys(there.removeprefix(variant.prefix) for there, _ in targets))
        if spec.parent and not spec.one:
            owners = dict.fromkeys(owner for _, owner in targets if owner)
            with ThreadPoolExecutor(self.workers) as pool:
                lists = list(pool.map(lambda owner: self.child(spec, owner), owners))
            return variant.stream, [record for each in lists for record in each if record.id in set(ids)]
        address = spec.one or spec.view
        if not address:
            pages = self._list(spec, spec.path, dict(spec.params), None)
            held = [record for page in pages for record in page.records if record.id in set(ids)]
            return variant.stream, self._sealed(variant.stream, held)

        def one(id: str) -> Raw | None:
            try:
                answer = self.client.read(address.replace("{id}", id)).json()
            except AbsentError:
                return None
            native = answer.get(spec.one_item, answer) if spec.one_item else answer
            moment = native.get(spec.updated_at) if spec.updated_at else None
            return Raw(id, json.dumps(native, ensure_ascii=False).encode(), moment and str(moment))

        with ThreadPoolExecutor(self.workers) as pool:
            return variant.stream, self._sealed(variant.stream, [record for record in pool.map(one, ids) if record])

    def before(self, unit: Unit) -> Native:
        """Return what a record that is about to change holds in those places. Raises RefusedError where it moved on."""
        native = self.look(unit)
        if native is None:
            raise RefusedError(f"{unit.kind} {unit.there} is no longer there", status=404)
        variant = self.mapping.variant(unit.kind, unit.variant)
        moment = self.manifest.streams[variant.stream].updated_at
        if unit.stamp and moment and str(native.get(moment)) != unit.stamp:
            raise RefusedError(
                f"{unit.kind} {unit.there} was changed at {native.get(moment)}, after the plan looked at it; plan again"
            )
        return picked(native, unit.payload)  # type: ignore[no-any-return]

    # ---- payloads ---------------------------------------------------------------------------------------------------

    def _named(self, unit: Unit, id: str) -> str:
        """Return a new record's id the way it is read: with the text its mapping puts before it."""
        return self.mapping.variant(unit.kind, unit.variant).prefix + id

    def _declared(self, unit: Unit) -> tuple[Write, Call]:
        write = self.manifest.write(unit.kind, unit.variant)
        call: Call | None = getattr(write, unit.action) if write else None
        if write is None or call is None:
            raise VendorError(f"{self.vendor}: connector.yaml declares no way to {unit.action} {unit.kind}")
        return write, call

    def _body(self, write: Write, call: Call, unit: Unit, *, send: bool = True) -> Native:
        """Return what is sent for one unit; ``send=False``: to compare with, so that nothing is handed in."""
        if unit.action == "update":
            body = {**unit.payload, "id": _number(unit.there)} if call.many > 1 else dict(unit.payload)
        else:
            body = without_nulls({**write.constants, **unit.payload})
            self._embed(write, unit, None, body, send)
        body = self._hook(call.body)(body) if call.body else body
        return self._hook(call.prepare)(self.client, body) if call.prepare and send else body

    def _embed(self, write: Write, unit: Unit, owner: str | None, body: Native, send: bool) -> None:
        """Put the children that hang on ``owner`` (the unit itself: None) into the body."""
        full: set[str] = set()
        for child in unit.children:
            embed = write.embeds.get(child.kind)
            if embed is None or child.owner != owner:
                continue
            full.add(child.kind)
            if embed.how == "merge":
                body.update(without_nulls(child.payload))
            elif embed.how == "list":
                body.setdefault(embed.path or "", []).append(child.payload[embed.value or ""])
            elif embed.how == "items":
                inner = self.manifest.write(child.kind, child.variant)
                assert inner is not None
                item = without_nulls({**inner.constants, **child.payload})
                self._embed(inner, unit, child.id, item, send)
                body.setdefault(embed.path or "", []).append(item)
            elif embed.how == "uploads" and child.blob and send:
                body.setdefault(embed.path or "", []).append(self._upload(embed, child))
        for kind, embed in write.embeds.items():
            if kind not in full:
                for path, value in embed.filler.items():
                    body.setdefault(path, value)

    def _upload(self, embed: Embed, child: Child) -> Any:
        """Hand an attachment's bytes in, and return the word that stands for them."""
        assert child.blob is not None
        words = {name: quote(str(value), safe="") for name, value in child.payload.items()}
        path = filled(embed.upload or "", words)
        kind = str(child.payload.get("content_type") or "application/octet-stream")
        headers = {"Content-Type": kind if re.fullmatch(r"[\w.+-]+/[\w.+-]+", kind) else "application/octet-stream"}
        for attempt in range(1, UPLOAD_TRIES + 1):
            try:
                answer = self.client.write("POST", path, data=child.blob.read_bytes(), headers=headers).json()
                return _need(at_path(answer, embed.answer or ""))
            except (UnknownOutcomeError, ValueError, KeyError) as err:
                if attempt == UPLOAD_TRIES:
                    raise RetryError(f"POST {path.split('?')[0]}: {err}; tried {attempt} times") from err
                self.client.sleep(float(attempt))
        raise AssertionError("unreachable")

    def _files(self, write: Write, unit: Unit) -> list[Any]:
        files: list[Any] = []
        for child in unit.children:
            embed = write.embeds.get(child.kind)
            if embed and embed.how == "files" and child.blob:
                file = (child.payload["name"], child.blob.read_bytes(), child.payload.get("content_type"))
                files.append((embed.path, file))
        return files

    def _written(self, write: Write, call: Call, unit: Unit, answer: Native) -> Written:
        if unit.action == "update":
            return Written(unit.there)
        id = str(answer[call.id])
        children: dict[tuple[str, str], str] = {}
        counts: dict[tuple[str, str | None], int] = defaultdict(int)
        for child in unit.children:
            embed = write.embeds.get(child.kind)
            if embed is None:  # hangs on another child
                inner = next(c for c in unit.children if c.id == child.owner and self._holds_kind(c, child.kind))
                counts[child.kind, child.owner] += 1
                above = children[inner.kind, inner.id]
                children[child.kind, child.id] = place(above, counts[child.kind, child.owner])
                continue
            counts[child.kind, None] += 1
            if embed.how in ("items", "uploads"):
                children[child.kind, child.id] = place(id, counts[child.kind, None])
            elif embed.how == "files":
                held = at_path(answer, embed.answer or "") or []
                children[child.kind, child.id] = str(held[counts[child.kind, None] - 1]["id"])
            else:
                variant = self.mapping.variant(child.kind, child.variant)
                value = str(child.payload.get(embed.value or "", ""))
                words = {"@id": id, "^.id": id, "@value": value}
                children[child.kind, child.id] = "".join(text + words[path] for text, path in variant.id_parts())
        key = str(answer[call.key]) if call.key and answer.get(call.key) is not None else None
        return Written(self._named(unit, id), key, children)

    def _holds_kind(self, child: Child, kind: str) -> bool:
        write = self.manifest.write(child.kind, child.variant)
        return write is not None and kind in write.embeds


def _need(value: Any) -> Any:
    if value is None:
        raise KeyError("the answer does not hold what it should")
    return value


def _number(id: str) -> int | str:
    return int(id) if id.isdecimal() else id
