"""One kind between two accounts: what the destination can write of its records, as SQL tests on the record ``w``."""

from __future__ import annotations

from dataclasses import dataclass

from migrator.compile import covers, flagged, match_key, name, quoted
from migrator.kinds import Kind, Kinds
from migrator.manifest import Manifest, Write
from migrator.mapping import Mapping, Variant, word
from migrator.stage import Stage

ARRIVES = "('create', 'keep', 'update', 'merge', 'stand_in')"


@dataclass(frozen=True)
class Crossing:
    """One kind, and what decides its records. ``found``: the schema of what is at the destination (or none)."""

    kind_name: str
    stage: Stage
    kinds: Kinds
    manifest: Manifest
    mapping: Mapping
    source: str
    found: str | None = None
    without_seat: str = "stand_in"  # or manual, create

    @property
    def kind(self) -> Kind:
        """Return the kind."""
        return self.kinds.kinds[self.kind_name]

    @property
    def write(self) -> Write | None:
        """Return what the destination keeps of the kind; None where it has no place for it."""
        return self.manifest.write(self.kind_name)

    @property
    def linked(self) -> bool:
        """Tell whether the kind's records are the same where they link the same others."""
        return bool(self.kind.match) and all(self.kind.fields[label].to for label in self.kind.match)

    @property
    def choices(self) -> list[tuple[Variant, Write]]:
        """Return the variants the destination can write, with what it keeps of each."""
        return writable(self.manifest, self.mapping, self.kind_name)

    @property
    def stands_alone(self) -> bool:
        """Tell whether records that have an owner elsewhere stand alone at the destination: the mapping names none."""
        owner, choices = self.kind.owner, self.choices
        return bool(owner and choices) and not any(
            write.embedded or owner in variant.fields for variant, write in choices
        )

    @property
    def inside(self) -> str:
        """Return the test for records that travel inside their owner's call; empty where the kind has none."""
        names = [quoted(variant.name) for variant, write in self.choices if write.embedded]
        return f"w._variant IN ({', '.join(names)})" if names else ""

    def needed(self) -> set[str]:
        """Return the references that decide something or are written; the others may stay as the source has them."""
        first = self.write
        if first is None or first.skip or first.manual or first.left:
            return set()
        writes = [write for write in self.manifest.writes if write.kind == self.kind_name]
        verbs = [verb for variant in self.mapping.kinds.get(self.kind_name, ()) for verb in variant.fields.values()]
        used = {
            label for write in writes for label, keep in write.fields.items() if keep.write != "never" or keep.bound
        }
        used |= {keep.follows[0] for write in writes for keep in write.fields.values() if keep.follows}
        used |= {verb.preface.by for verb in verbs if verb.preface}
        return {
            label
            for label, spec in self.kind.references()
            if label != self.kind.owner and (spec.required or label in used)
        }

    def bound(self) -> dict[str, list[str]]:
        """Return the references without whose record one is not written, each with the variants that say so."""
        found: dict[str, list[str]] = {}
        for variant, write in self.choices:
            for label, keep in write.fields.items():
                if keep.bound:
                    found.setdefault(label, []).append(variant.name)
        return found

    def variant(self) -> str:
        """Return the variant a record is written as: the first whose constants it has, or its owner's stream's."""
        kind, choices = self.kind, self.choices
        tests = []
        for variant, own in choices:
            agree = [
                f"CAST(w.{name(label)} AS VARCHAR) = {quoted(word(v))}" for label, v in variant.constants().items()
            ]
            if own.embedded and kind.owner and any(not other.embedded for _, other in choices):
                # What is there already takes them one by one.
                agree.append("w._owner_action NOT IN ('keep', 'update', 'merge')")
                agree += self._first_ones()
            if own.embedded and variant.each and kind.owner and len(choices) > 1:
                owners = self.mapping.kinds[kind.fields[kind.owner].to[0]]
                streams = ", ".join(quoted(v.name) for v in owners if v.stream == variant.stream)
                agree.append(f"w._owner_variant IN ({streams})")
            if kind.rule:
                agree.append(covers(variant, f"CAST(w.{name(kind.rule)} AS JSON)"))
            tests.append(f"WHEN {' AND '.join(agree) or 'TRUE'} THEN {quoted(variant.name)}")
        return f"COALESCE(w._known_variant, CASE {' '.join(tests)} END)" if tests else "CAST(NULL AS VARCHAR)"

    def _first_ones(self) -> list[str]:
        """Return the test for as many records as may travel inside their owner's call."""
        sequence = next((label for label, spec in self.kind.fields.items() if spec.sequence), None)
        most = [e.most for write in self.manifest.writes if (e := write.embeds.get(self.kind_name)) and e.most]
        return [f"w.{name(sequence)} <= {min(most)}"] if sequence and most else []

    def there(self, kind_name: str, *, role: bool = False) -> str:
        """Return the rows (key, id, kind) of what the destination has of ``kind_name``, keyed as this kind is."""
        key = match_key(self.kind, "f", role=role)
        return (
            f"SELECT {key} AS k, min(f.id) AS id, {quoted(kind_name)} AS of FROM {self.found}.{name(kind_name)} f "
            f"WHERE {key} IS NOT NULL AND NOT {flagged(self.kinds.kinds[kind_name], 'f')} GROUP BY 1"
        )

    def pair(self) -> str:
        """Return the destination's record that links the same owner and references, of what lives in a list."""
        if not self.found or not self.kind.owner:
            return "CAST(NULL AS VARCHAR)"
        links = []
        for label, spec in self.kind.references():
            of = ", ".join(quoted(to) for to in spec.to)
            there = (
                f"SELECT min(target) FROM plan.decided t WHERE t.id = w.{name(label)} AND t.as_kind IN ({of}) "
                "AND t.action = 'keep'"
            )
            links.append(f"f.{name(label)} = ({there})")
        return f"(SELECT min(f.id) FROM {self.found}.{name(self.kind_name)} f WHERE {' AND '.join(links)})"


def work_table(kind_name: str) -> str:
    """Return the relation of a kind's records as they may be written."""
    return f"native.{name('work ' + kind_name)}"


def writable(manifest: Manifest, mapping: Mapping, kind_name: str) -> list[tuple[Variant, Write]]:
    """Return the variants of a kind that a destination can write, with what it keeps of each."""
    found = []
    for variant in mapping.kinds.get(kind_name, ()):
        write = manifest.write(kind_name, variant.name)
        if write and (write.create or write.embedded):
            found.append((variant, write))
    return found
