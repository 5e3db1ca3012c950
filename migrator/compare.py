"""What cannot arrive, from the files alone, before any login: one vendor's mapping against another's manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from migrator.kinds import Field
from migrator.manifest import Keep
from migrator.mapping import Verb
from migrator.registry import Connector

Verdict = Literal["arrives", "changes", "lost", "by hand"]


@dataclass(frozen=True)
class Line:
    """The fate of one field of a kind (or of the whole kind: field "")."""

    kind: str
    field: str
    verdict: Verdict
    because: str


def compare(source: Connector, destination: Connector) -> list[Line]:
    """Return the fate of every kind and field the source has, in the kinds' order."""
    lines: list[Line] = []
    title = destination.manifest.title
    for kind_name in source.kinds.in_order():
        variants = source.mapping.kinds.get(kind_name)
        if not variants:
            continue
        kind = source.kinds.kinds[kind_name]
        write = destination.manifest.write(kind_name)
        if write is None:
            lines.append(Line(kind_name, "", "by hand", f"{title} has no place for it"))
            continue
        if why := write.manual or write.left or write.skip:
            lines.append(Line(kind_name, "", "by hand" if write.manual else "lost" if write.left else "arrives", why))
            continue
        if write.match_only:
            stands = f"; who has none becomes a {kind.stands_in}" if kind.stands_in else ""
            lines.append(
                Line(kind_name, "", "changes", f"matched by {' and '.join(kind.match)}, never created (a seat){stands}")
            )
            continue
        theirs = [
            (v, w)
            for v in destination.mapping.kinds.get(kind_name, ())
            if (w := destination.manifest.write(kind_name, v.name))
        ]
        read = {label for variant in variants for label in variant.fields}
        for label, spec in kind.fields.items():
            if label not in read or spec.private or label == kind.owner:
                continue
            fates = [
                _fate(spec, v.fields.get(label), w.fields.get(label), variants[0].fields.get(label), title)
                for v, w in theirs
            ]
            worst = max(fates, key=lambda fate: ("arrives", "changes", "lost").index(fate[0]), default=("lost", ""))
            best = min(fates, key=lambda fate: ("arrives", "changes", "lost").index(fate[0]), default=worst)
            chosen = worst if worst[0] == best[0] else ("changes", worst[1])
            lines.append(Line(kind_name, label, chosen[0], chosen[1]))  # type: ignore[arg-type]
    return lines


def _fate(spec: Field, verb: Verb | None, keep: Keep | None, read: Verb | None, title: str) -> tuple[str, str]:
    if verb is not None and verb.constant is not None:
        return "arrives", ""
    if keep is None or (verb is None and not keep.because):
        return "lost", f"{title} has no place for it"
    if verb is None or keep.write == "never":
        return ("changes" if keep.loss == "reset" or keep.follows else "lost"), keep.because
    notes = []
    if keep.max:
        notes.append(f"cut at {keep.max} {'items' if spec.type in ('list', 'refs') else 'characters'}")
    if keep.max_bytes:
        notes.append(f"cut at {keep.max_bytes} bytes")
    if keep.max_item:
        notes.append(f"each cut at {keep.max_item} characters")
    if read and read.values and verb.values is not None:
        back = verb.back()
        refused = {str(v) for v in read.values.values() if keep.one_of and back.get(str(v), v) not in keep.one_of}
        lost = [
            str(v)
            for v in dict.fromkeys(read.values.values())
            if str(v) in refused or (str(v) not in back and verb.otherwise == "none")
        ]
        round_trip = {str(native): str(canonical) for native, canonical in verb.values.items()}
        merged = [
            f"{v} becomes {round_trip[str(back[str(v)])]}"
            for v in dict.fromkeys(map(str, read.values.values()))
            if v in back and round_trip.get(str(back[v]), v) != v
        ]
        notes += merged + [f"no {', '.join(lost)}"] * bool(lost)
        if merged or lost:
            return "changes", "; ".join(notes)
    if keep.one_of and not (read and read.values):
        return "changes", keep.because or "depends on the values: the plan counts them"
    return "arrives", "; ".join(notes)
