"""The report: what a migration moves, loses and proves, as one HTML file to sign and as a summary for the terminal.

Pure: the same data gives the same page. Every value may come from a hostile vendor; ``_environment`` holds it off.
The only module that imports jinja2.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from migrator import findings, verdict, wording

if TYPE_CHECKING:
    from jinja2 import Environment
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

TEXT = 600  # characters any value may take on the page, whatever else clips it
FEW = 12  # losses and discrepancies the terminal shows; the page has them all
STYLES = {"good": "green", "note": "dim", "attention": "yellow", "bad": "bold red"}


def html(data: Mapping[str, Any]) -> str:
    """Return the report as one HTML file; it asks no one for anything and shows what a vendor wrote as mere text."""
    return _environment().get_template("report.html.j2").render(_page(data))


def rules_html(data: Mapping[str, Any]) -> str:
    """Return the customization report as one HTML file, held off in the same way."""
    return _environment().get_template("rules.html.j2").render(data)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: object) -> object:
        """Stand between every expression of the template and the page; what a macro made is done already."""
        return value if isinstance(value, Markup) else wording.clipped(value, TEXT)

    # Always, not by file name: select_autoescape would not know the ending .j2.
    environment = Environment(
        loader=PackageLoader("migrator", "templates"),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for word in (
        wording.number,
        wording.share,
        wording.duration,
        wording.about,
        wording.moment,
        wording.kinds,
        wording.counted,
    ):
        environment.filters[word.__name__] = word
    environment.filters["clip"] = wording.clipped
    environment.filters["first_upper"] = lambda text: text[:1].upper() + text[1:]
    return environment


def _page(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything a report shows: counted, grouped, sorted and capped."""
    kinds: list[Mapping[str, Any]] = data.get("kinds") or []
    coverage: Mapping[str, Any] = data.get("coverage") or {}
    used = findings.used(kinds)
    return {
        "name": data["name"],
        "source": data["source"],
        "destination": data["destination"],
        "created_at": data["created_at"],
        "digest": data["digest"],
        "stage": data["stage"],
        "stages": findings.STAGES,
        "verdict": verdict.verdict(data),
        "figures": verdict.figures(data),
        "meanings": {name: findings.DISPOSITIONS[name] for name in used},
        "kinds": [(kind, findings.stacked([(name, findings.count_of(kind, name)) for name in used])) for kind in kinds],
        "balance": findings.balance(data),
        "totals": [sum(findings.count_of(kind, name) for kind in kinds) for name in used],
        "used": used,
        "losses": findings.losses(data),
        "todo": findings.capped(data.get("todo") or []),
        "reasons": findings.reasons(data),
        "unexplained": findings.unexplained(data),
        "person": findings.sums(data)[3],
        "calls": findings.calls(data),
        "quota": findings.quota(data),
        "minutes": float(data.get("hours") or 0) * 60,
        "bottleneck": data.get("bottleneck") or "",
        "verification": findings.verification(data),
        "quarantine": findings.capped(data.get("quarantine") or []),
        "mapped": coverage.get("mapped", 0),
        "uncovered": findings.capped(findings.descending(coverage.get("uncovered") or [])),
        "dropped": findings.capped(findings.descending(coverage.get("dropped") or [])),
        "unreadable": findings.capped(findings.descending(coverage.get("unreadable") or [])),
        "narrowed": data.get("narrowed") or [],
        "nested": data.get("nested") or [],
        "rewrites": (data.get("rewrites") or {}).get("changes") or [],
        "places": findings.capped((data.get("rewrites") or {}).get("places") or []),
        "runs": findings.capped(data.get("runs") or []),
    }


def text(data: Mapping[str, Any], console: Console) -> None:
    """Print the same as a short summary: verdict, balance, losses, tasks, discrepancies, digest."""
    from rich.padding import Padding

    page = _page(data)
    answer: verdict.Verdict = page["verdict"]
    tone = "bold" if answer.tone == "good" else STYLES[answer.tone]
    route = " → ".join(wording.clipped(data[side]["title"], 60) for side in ("source", "destination"))
    console.print(_said(f"{wording.clipped(data['name'], 120)} · {route} · {data['stage']}", "dim", limit=300))
    console.print(_said(answer.headline, tone))
    for point in answer.points:
        sign = {"good": "✓", "bad": "✗", "attention": "!", "note": "·"}[point.tone]
        console.print(Padding(_said(f"{sign} {point.text}", STYLES[point.tone]), (0, 0, 0, 2)))
    for table in (_balance(page), _losses(page), _tasks(page), _discrepancies(page)):
        if table is not None:
            console.print()
            console.print(table)
    console.print()
    console.print(_said(f"plan {data['digest']}", "bold"))


def _said(value: object, style: str = "", *, limit: int = TEXT) -> Text:
    """Return the value as mere text: no markup, no control sequence, no more than ``limit`` characters."""
    from rich.text import Text

    return Text(wording.clipped(value, limit), style=style)


def _table(title: str, *columns: str, more: int = 0, numbers: tuple[str, ...] = ()) -> Table:
    from rich import box
    from rich.table import Table

    caption = f"… and {wording.number(more)} more; see the HTML report" if more else None
    table = Table(
        title=title, caption=caption, box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left", pad_edge=False
    )
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left")
    return table


def _balance(page: Mapping[str, Any]) -> Table | None:
    numbers = ("read", *page["used"], "accounted for")
    table = _table("What moves, and whether it balances", "kind", *numbers, "holds", numbers=numbers)
    for row in page["balance"]:
        counts = [wording.number(part) if part else "·" for part in row.parts]
        holds = _said("✓", "green") if row.holds else _said("✗", "bold red")
        cells = (wording.number(row.source), *counts, wording.number(row.accounted))
        table.add_row(_said(wording.kinds(row.kind)), *cells, holds)
    return table if page["balance"] else None


def _losses(page: Mapping[str, Any]) -> Table | None:
    losses = [loss for group in page["losses"]["groups"].values() for loss in group]
    losses.sort(key=lambda loss: -int(loss["count"]))
    more = page["losses"]["ways"] - len(losses[:FEW])
    table = _table(
        "What is lost, and why",
        "kind",
        "field",
        "how",
        "records",
        "share",
        "because",
        more=more,
        numbers=("records", "share"),
    )
    for loss in losses[:FEW]:
        count, of = int(loss["count"]), int(loss["of"])
        words = (wording.kinds(loss["kind"]), loss["field"], loss["how"])
        numbers = (wording.number(count), wording.share(count, of))
        table.add_row(*(_said(word, limit=40) for word in words), *numbers, _said(loss["because"], limit=120))
    return table if losses else None


def _tasks(page: Mapping[str, Any]) -> Table | None:
    table = _table("What needs a person", "what", "how", more=page["todo"].more)
    for task in page["todo"].rows:
        table.add_row(_said(f"☐ {wording.clipped(task['what'], 120)}"), _said(task["how"], limit=200))
    return table if page["todo"].rows else None


def _discrepancies(page: Mapping[str, Any]) -> Table | None:
    proof = page["verification"]
    if proof is None or not proof["rows"]:
        return None
    rows = proof["rows"][:FEW]
    more = proof["count"] - len(rows)
    table = _table("Discrepancies", "kind", "id", "field", "expected", "found", more=more)
    for row in rows:
        sides = [side.before + side.changed + side.after or f"({side.note})" for side in row["sides"]]
        table.add_row(*(_said(word, limit=60) for word in (row["kind"], row["id"], row["field"], *sides)))
    return table
