"""A selection carried out: by conditions, a sample of them, and the people these need.

Fills ``plan.unselected``; what stands there is skipped with its reason. One statement a step, none a record.
"""

from __future__ import annotations

from dataclasses import dataclass

from migrator.compile import flagged, match_key, name, quoted
from migrator.kinds import Kind, Kinds
from migrator.select import Selection
from migrator.stage import Stage

UNSELECTED = "kind VARCHAR, id VARCHAR, as_kind VARCHAR, reason VARCHAR"


@dataclass(frozen=True)
class Choice:
    """A selection of the records in a stage."""

    selection: Selection
    stage: Stage

    @property
    def kinds(self) -> Kinds:
        """Return the kinds."""
        return self.selection.kinds

    def make(self) -> None:
        """Fill ``plan.unselected``. What earlier loads wrote (``plan.known``) is never in it."""
        if self.selection.takes_all:
            return
        self.selection.check()
        self.selection.check_values(self.stage)
        self._choose()
        if self.selection.select.sample:
            self._sample(self.selection.select.sample)
        self._take_along()
        of = quoted(self.selection.kind_name)
        rest = f"SELECT {of}, id, {of}, reason FROM plan.chosen WHERE reason IS NOT NULL"
        self.stage.run(f"INSERT INTO plan.unselected {rest}")
        if self.selection.people:
            self._need()
        self.stage.run("DROP TABLE plan.chosen")

    def _choose(self) -> None:
        """Make ``plan.chosen``: each record of the kind, why it is not selected (or NULL), and if it stays anyway."""
        cases = [f"WHEN {one.sql} THEN {_not(one.field)}" for one in self.selection.none_of()]
        some = self.selection.any_of()
        if len(some) == 1:
            cases += [f"WHEN NOT {one.sql} THEN {_not(one.field)}" for one in some[0]]
        elif some:
            tests = " OR ".join(f"({' AND '.join(one.sql for one in every)})" for every in some)
            cases.append(f"WHEN NOT ({tests}) THEN {_not(*(one.field for every in some for one in every))}")
        reason = f"CASE {' '.join(cases)} END" if cases else "CAST(NULL AS VARCHAR)"
        judged = f"SELECT c.id, {reason} AS reason, {flagged(self.selection.kind, 'c', always=True)} AS stays"
        self.stage.run(f"CREATE TABLE plan.chosen AS {judged} FROM {self.selection.rows} c")

    def _sample(self, size: int) -> None:
        """Keep so many of what is chosen: first who shows most that nobody before shows, then whoever comes.

        Nobody's turn depends on the size or the order of the records: a larger sample holds the smaller one.
        """
        parts = []
        chosen = f"{self.selection.rows} c JOIN plan.chosen x ON x.id = c.id AND x.reason IS NULL AND NOT x.stays"
        for label in self.selection.usual.spread if self.selection.kind_name == self.selection.usual.kind else ():
            spec, column = self.selection.kind.fields[label], f"c.{name(label)}"
            shown = {"map": f"unnest(json_keys(CAST({column} AS JSON)))", "list": f"unnest({column})"}
            shown["refs"] = shown["list"]
            value = shown.get(spec.type, f"CAST({column} AS VARCHAR)")
            parts.append(f"SELECT c.id, {quoted(label)} AS what, {value} AS value FROM {chosen}")
        for other, kind in self.kinds.kinds.items():
            if kind.owner and self.kinds.root(other) == self.selection.kind_name:
                parts.append(f"SELECT c.id, {quoted(other)}, '' FROM {chosen} WHERE c.id IN ({self._roots(other)})")
        first = "SELECT NULL AS id, NULL AS n WHERE FALSE"
        if parts:
            shows = (
                f"SELECT arg_min(id, md5(id)) AS id FROM ({' UNION ALL '.join(parts)}) WHERE value IS NOT NULL "
                "GROUP BY what, value"
            )
            first = f"SELECT id, count(*) AS n FROM ({shows}) GROUP BY id"
        turn = "row_number() OVER (ORDER BY f.n DESC NULLS LAST, md5(x.id), x.id)"
        self.stage.run(
            f"UPDATE plan.chosen SET reason = {quoted(f'not selected: beyond the sample of {size}')} FROM "
            f"(SELECT x.id, {turn} AS turn FROM plan.chosen x LEFT JOIN ({first}) f ON f.id = x.id "
            f"WHERE x.reason IS NULL AND NOT x.stays) t WHERE t.id = chosen.id AND t.turn > {size}"
        )

    def _roots(self, kind_name: str) -> str:
        """The records at the top that own some record of a kind."""
        kind = self.kinds.kinds[kind_name]
        if not kind.owner:
            return f"SELECT id FROM canonical.{name(kind_name)}"
        own, above = f"SELECT {name(kind.owner)} AS id FROM canonical.{name(kind_name)}", kind.fields[kind.owner].to[0]
        while (owner := self.kinds.kinds[above]).owner:
            own = f"SELECT {name(owner.owner or '')} AS id FROM canonical.{name(above)} WHERE id IN ({own})"
            above = owner.fields[owner.owner or ""].to[0]
        return own

    def _take_along(self) -> None:
        """Select what is written already, and whatever is the same as a selected record."""
        self.stage.run(
            "UPDATE plan.chosen SET reason = NULL, stays = FALSE "
            "WHERE id IN (SELECT id FROM plan.known WHERE kind = ?)",
            self.selection.kind_name,
        )
        if _by_text(self.selection.kind):
            keyed = f"SELECT id, {match_key(self.selection.kind, 'm')} AS k FROM {self.selection.rows} m"
            keys = f"SELECT k FROM ({keyed}) s JOIN plan.chosen x ON x.id = s.id WHERE x.reason IS NULL AND NOT x.stays"
            self.stage.run(
                f"UPDATE plan.chosen SET reason = NULL WHERE id IN (SELECT id FROM ({keyed}) WHERE k IN ({keys}))"
            )

    # ---- whom they need ---------------------------------------------------------------------------------------------

    def _need(self) -> None:
        """Find the people that selected records name, the ones these name, and whoever is the same as one of them."""
        people = self.selection.people
        self.stage.run("CREATE TABLE plan.needed (as_kind VARCHAR, id VARCHAR)")
        self.stage.run(
            "INSERT INTO plan.needed SELECT kind, id FROM plan.known UNION SELECT as_kind, id FROM plan.known"
        )
        after = [k for k in reversed(self.kinds.in_order()) if self.kinds.root(k) in people]
        for kind_name in self.kinds.in_order():
            if kind_name not in after:
                self._references(kind_name)
        size = -1
        while size != (size := int(self.stage.one("SELECT count(*) FROM plan.needed"))):
            for kind_name in after:
                self._same(kind_name)
                self._references(kind_name)
        for kind_name in people:
            self._leave_out(kind_name)
        self.stage.run("DROP TABLE plan.needed")

    def _references(self, kind_name: str) -> None:
        """Need the people that the kind's selected records name. A record that only links others needs nobody."""
        kind = self.kinds.kinds[kind_name]
        if kind.match and not _by_text(kind):
            return
        for label, spec in kind.references():
            column = f"unnest(s.{name(label)})" if spec.type == "refs" else f"s.{name(label)}"
            for to in spec.to:
                if to in self.selection.people:
                    taken = self._taken(kind_name, "s")
                    self._needed(to, f"SELECT {column} AS id FROM canonical.{name(kind_name)} s WHERE {taken}")

    def _taken(self, kind_name: str, alias: str) -> str:
        """The test for a kind's records that are selected so far."""
        kind = self.kinds.kinds[kind_name]
        if kind_name == self.selection.kind_name:
            return f"{alias}.id IN (SELECT id FROM plan.chosen WHERE reason IS NULL AND NOT stays)"
        if kind.owner:
            of = kind.fields[kind.owner].to[0]
            owners = f"SELECT id FROM canonical.{name(of)} {alias}s WHERE {self._taken(of, alias + 's')}"
            return f"{alias}.{name(kind.owner)} IN ({owners}) AND NOT {flagged(kind, alias, always=True)}"
        if kind_name in self.selection.people:
            return f"{alias}.id IN (SELECT id FROM plan.needed WHERE as_kind IN ({self._forms(kind_name)}))"
        return f"NOT {flagged(kind, alias, always=True)}"

    def _forms(self, kind_name: str) -> str:
        """The kinds a record may be needed as: its own, and the one it stands in as."""
        forms = (kind_name, self.kinds.kinds[kind_name].stands_in)
        return ", ".join(quoted(form) for form in forms if form)

    def _same(self, kind_name: str) -> None:
        """Need whoever would become one with somebody who is needed as this kind."""
        kind = self.kinds.kinds[kind_name]
        standing = [other for other, one in self.kinds.kinds.items() if one.stands_in == kind_name]
        together = [other for other in standing if set(kind.match) <= set(self.kinds.kinds[other].fields)]
        for by, members in ((kind, [kind_name, *together]), *((self.kinds.kinds[o], [o]) for o in standing)):
            if _by_text(by):
                keyed = " UNION ALL ".join(
                    f"SELECT id, {match_key(by, 'm')} AS k FROM canonical.{name(member)} m" for member in members
                )
                needed = f"SELECT id FROM plan.needed WHERE as_kind = {quoted(kind_name)}"
                keys = f"SELECT k FROM ({keyed}) WHERE id IN ({needed})"
                self._needed(kind_name, f"SELECT id FROM ({keyed}) WHERE k IN ({keys})")

    def _needed(self, as_kind: str, ids: str) -> None:
        self.stage.run(
            f"INSERT INTO plan.needed SELECT DISTINCT {quoted(as_kind)}, i.id FROM ({ids}) i WHERE i.id IS NOT NULL "
            f"AND i.id NOT IN (SELECT id FROM plan.needed WHERE as_kind = {quoted(as_kind)})"
        )

    def _leave_out(self, kind_name: str) -> None:
        """Leave out whom nobody needs: at all, or as the kind they would stand in as."""
        who = self.selection.kind_name.replace("_", " ")
        who = who if self.selection.takes_every_one else f"selected {who}"
        for form, forms in ((kind_name, self._forms(kind_name)), (self.kinds.kinds[kind_name].stands_in, None)):
            if form:
                self.stage.run(
                    f"INSERT INTO plan.unselected SELECT {quoted(kind_name)}, id, {quoted(form)}, "
                    f"{quoted(f'not selected: no {who} needs it')} FROM canonical.{name(kind_name)} WHERE id NOT IN "
                    f"(SELECT id FROM plan.needed WHERE as_kind IN ({forms or quoted(form)}))"
                )


def _by_text(kind: Kind) -> bool:
    """Tell whether a kind's records are the same where they say the same, and not where they link the same others."""
    return any(not kind.fields[label].to for label in kind.match)


def _not(*fields: str) -> str:
    """Return the reason, as SQL, of a record that these fields leave out."""
    return quoted("not selected: " + ", ".join(dict.fromkeys(field.replace("_", " ") for field in fields)))
