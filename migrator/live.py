"""Records that are live as soon as they are written: ordinary plans leave them to a plan of their own.

Which ones: kinds that are declared so (``cutover`` in the canonical file), and what migration.yaml names under it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from migrator.compile import name, quoted
from migrator.errors import InputError, PlanError
from migrator.kinds import Kinds
from migrator.stage import Stage

WAITS = "live at once: waits for `migrator plan --cutover`"
OTHER = "not live at once: an ordinary plan writes it"
LEFT = "plan.left"  # the relation of (kind, id, reason): what the plan leaves to one of the other sort
Condition = Mapping[str, tuple[str, ...]]  # field to the values it has, whatever the case; all of them must hold


@dataclass(frozen=True)
class Live:
    """What is live at once, and whether a plan is to write that alone (``switching``) or leave it."""

    kinds: Kinds
    named: Mapping[str, Condition]
    switching: bool = False

    def check(self, file: str) -> None:
        """Raise InputError where migration.yaml names what does not exist."""
        for kind_name, condition in self.named.items():
            if kind_name not in self.kinds.kinds:
                raise InputError(f"cutover names the kind '{kind_name}', which does not exist", file=file)
            for label in condition:
                if label not in self.kinds.kinds[kind_name].fields:
                    raise InputError(f"cutover names {kind_name}.{label}, which does not exist", file=file)

    def leave(self, stage: Stage) -> bool:
        """Make ``plan.left``, after the plan was begun; False where there is nothing to tell apart."""
        if not any(self._tests()):
            if self.switching:
                raise InputError(
                    "nothing is live at once here", remedy="name what is under 'cutover' in migration.yaml"
                )
            return False
        stage.run(f"CREATE TABLE {LEFT} (kind VARCHAR, id VARCHAR, reason VARCHAR)")
        self._find(stage)
        if not self.switching:
            stage.run(f"INSERT INTO {LEFT} SELECT kind, id, ? FROM plan.live", WAITS)
            return True
        for kind_name in self.kinds.in_order():
            ours = f"SELECT id FROM plan.live WHERE kind = {quoted(kind_name)}"
            for relation in self._relations(stage, kind_name):
                stage.run(
                    f"INSERT INTO {LEFT} SELECT ?, id, ? FROM {relation} WHERE id NOT IN ({ours}) "
                    f"AND id NOT IN (SELECT id FROM {LEFT} WHERE kind = {quoted(kind_name)})",
                    kind_name,
                    OTHER,
                )
        return True

    def refuse(self, stage: Stage, *, switching: bool) -> None:
        """Raise PlanError where the plan in the stage is not of the sort that a load was told to carry out."""
        writes = "SELECT count(*) FROM plan.planned WHERE action IN ('create', 'update', 'delete')"
        marked = "live" in stage.tables_of("plan")
        live = int(stage.one(f"{writes} AND (kind, id) IN (SELECT (kind, id) FROM plan.live)")) if marked else 0
        if live and not switching:
            raise PlanError(
                f"the plan writes {live} records that are live at once: `migrator load --cutover` does that"
            )
        if switching and not live:
            raise PlanError("nothing in the plan is live at once; make one by `migrator plan --cutover`")

    def _tests(self) -> dict[str, str]:
        """Return the SQL test of each kind some of whose records are live at once."""
        found = {}
        for kind_name, kind in self.kinds.kinds.items():
            if kind.cutover:
                found[kind_name] = "TRUE"
            elif kind_name in self.named:
                found[kind_name] = " AND ".join(
                    f"lower(CAST(r.{name(label)} AS VARCHAR)) IN ({', '.join(quoted(v.lower()) for v in values)})"
                    for label, values in self.named[kind_name].items()
                ) or "TRUE"  # fmt: skip
        return found

    def _relations(self, stage: Stage, kind_name: str) -> list[str]:
        """Return where a kind's records lie: those of the source, and those written that are there no more."""
        found = [f"canonical.{name(kind_name)}"]
        return [*found, f"earlier.{name(kind_name)}"] if kind_name in stage.tables_of("earlier") else found

    def _find(self, stage: Stage) -> None:
        """Make ``plan.live``: (kind, id) of what is live at once, with what cannot be there without it."""
        stage.run("CREATE TABLE plan.live (kind VARCHAR, id VARCHAR)")
        tests = self._tests()
        for kind_name in self.kinds.in_order():
            some = [f"({tests[kind_name]})"] if kind_name in tests else []
            for label, spec in self.kinds.kinds[kind_name].references():
                if spec.required and spec.type == "ref":
                    of = ", ".join(quoted(to) for to in spec.to)
                    some.append(f"r.{name(label)} IN (SELECT id FROM plan.live WHERE kind IN ({of}))")
            for relation in self._relations(stage, kind_name) if some else ():
                stage.run(
                    f"INSERT INTO plan.live SELECT {quoted(kind_name)}, r.id FROM {relation} r "
                    f"WHERE ({' OR '.join(some)}) AND (?, r.id) NOT IN (SELECT (kind, id) FROM plan.live)",
                    kind_name,
                )
