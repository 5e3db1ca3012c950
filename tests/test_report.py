"""The report: everything of the data appears in it, nothing of a vendor acts in it, and it claims nothing it cannot."""

from __future__ import annotations

import copy
import io
import re
import time
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from migrator import report, wording
from migrator.findings import balance, stacked
from migrator.verdict import verdict

DIGEST = "64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a9e3b525"
VOID = {"meta", "br", "rect", "link", "img", "input", "hr"}
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": "\" onmouseover=alert(1) x='",
    "style": "</style><style>body{background:url(https://evil.example)}",
    "template": "{{ 7*7 }}{% include '/etc/passwd' %}",
    "svg": "<svg onload=alert(1)><a xlink:href='javascript:alert(1)'>",
    "bidi": "invoice\u202efdp.exe\u2066\u2069",
    "nul": "a\x00b\x1b[31mred\x9b0m",
    "surrogate": "half \ud83d a character",
    "markup": "[bold red]not rich[/bold red] [link=https://evil.example]x[/link]",
    "long": "0123456789" * 10_000,
    "spread": "word " * 20_000,
    "controls": "\u202e" * 100_000,
}


def kind(name: str, **parts: int) -> dict[str, Any]:
    names = ("created", "kept", "updated", "merged", "skipped", "manual", "quarantined", "pending")
    counts = {part: parts.get(part, 0) for part in names}
    return {"kind": name, "source": sum(counts.values()), **counts}


def document(**changes: Any) -> dict[str, Any]:
    """Return a whole document of the shape the report takes: a plan of 1,210 records."""
    kinds = [
        kind("custom_field", manual=6),
        kind("contact", created=100, merged=3, skipped=17),
        kind("ticket", created=1084),
    ]
    data = {
        "name": "Acme moves",
        "source": {"vendor": "southdesk", "title": "Southdesk", "account": "acme.southdesk.example"},
        "destination": {"vendor": "northdesk", "title": "Northdesk", "account": "acme.northdesk.example"},
        "created_at": "2026-11-27T14:03:22+00:00",
        "digest": DIGEST,
        "stage": "planned",
        "kinds": kinds,
        "balance": [
            {"kind": one["kind"], "source": one["source"], "accounted": one["source"], "vendor_count": None, "ok": True}
            for one in kinds
        ],
        "reasons": [
            reason("custom_field", "manual", "reason-manual", 6),
            reason("contact", "merged", "reason-merged", 3),
            reason("contact", "skipped", "reason-skipped", 17),
        ],
        "losses": [loss("subject", "truncated"), loss("timezone", "dropped")],
        "coverage": {
            "mapped": 214,
            "uncovered": [
                {"stream": "tickets", "kind": "ticket", "path": "via.rel", "count": 9, "example": "uncovered-x"}
            ],
            "dropped": [
                {"stream": "tickets", "kind": "ticket", "path": "url", "count": 5, "because": "dropped-because"}
            ],
            "unreadable": [{"kind": "ticket", "field": "due", "raw": "31/02/2025", "count": 3}],
        },
        "calls": [{"endpoint": "POST /tickets", "calls": 1084}],
        "quota": [{"name": "tickets: create", "per_minute": 280, "calls": 1084, "minutes": 3.9}],
        "hours": 0.065,
        "bottleneck": "tickets: create",
        "todo": [{"what": "Rebuild the forms", "count": 6, "how": "In the admin pages."}],
        "verification": None,
        "quarantine": [],
        "runs": [{"at": "2026-11-27T14:03:22+00:00", "command": "migrator plan", "what": "run-what"}],
    }
    return {**data, **changes}


def reason(name: str, action: str, why: str, count: int) -> dict[str, Any]:
    return {
        "kind": name,
        "action": action,
        "reason": why,
        "count": count,
        "examples": [{"id": "7", "label": f"of {why}"}],
    }


def loss(field: str, how: str, *, was: Any = "before", becomes: Any = "after", count: int = 38) -> dict[str, Any]:
    examples = [{"id": f"id-{field}", "label": f"label-{field}", "was": was, "becomes": becomes}] * 3
    why = f"because-{field}"
    return {
        "kind": "ticket",
        "field": field,
        "how": how,
        "because": why,
        "count": count,
        "of": 1084,
        "examples": examples,
    }


def discrepancy(at: int, expected: Any = "open", found: Any = "pending") -> dict[str, Any]:
    sides = {"expected": expected, "found": found}
    return {"kind": "ticket", "id": f"d-{at}", "label": f"Ticket {at}", "field": f"field{at}", **sides}


def verified(*rows: dict[str, Any], missing: int = 0, **changes: Any) -> dict[str, Any]:
    proof = {
        "at": "2026-11-29T18:12:00+00:00",
        "records": 1184,
        "equal": 1184 - len(rows) - missing,
        "missing": missing,
    }
    return document(
        stage="verified", verification={**proof, "discrepancies": list(rows), "count": len(rows)}, **changes
    )


def empty() -> dict[str, Any]:
    coverage = {"mapped": 0, "uncovered": [], "dropped": [], "unreadable": []}
    lists = ("kinds", "balance", "reasons", "losses", "calls", "quota", "todo", "quarantine", "runs")
    return document(**{name: [] for name in lists}, coverage=coverage, hours=0.0, bottleneck="")


def poisoned(poison: str) -> dict[str, Any]:
    """Return a full document with every text of it replaced, but those the engine itself chooses."""
    data = verified(*[discrepancy(at) for at in range(500)], losses=[loss(f"f{at}", "reset") for at in range(60)])
    data["quarantine"] = [{"unit": "u", "kind": "ticket", "label": "l", "answer": "a", "remedy": "r"}] * 20

    def replaced(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: replaced(below, name) for name, below in value.items()}
        if isinstance(value, list):
            return [replaced(below, key) for below in value]
        return poison if isinstance(value, str) and key not in ("stage", "action") else value

    found: dict[str, Any] = replaced(data)
    return found


class Page(HTMLParser):
    """A parsed page: its tags with attributes, its text, and the tags left open or closed twice."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.parts: list[str] = []
        self.wrong: list[str] = []
        self.feed(page)
        self.close()
        self.text = re.sub(r"\s+", " ", "".join(self.parts))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.parts.append(data)


def page(data: dict[str, Any]) -> Page:
    return Page(report.html(data))


def printed(data: dict[str, Any]) -> str:
    out = io.StringIO()
    report.text(data, Console(file=out, width=160, force_terminal=False))
    return out.getvalue()


SHAPES: dict[str, Callable[[], dict[str, Any]]] = {
    "planned": document,
    "verified": verified,
    "discrepancies": lambda: verified(*[discrepancy(at) for at in range(5)], missing=2),
    "empty": empty,
}


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> dict[str, Any]:
    return SHAPES[request.param]()


@pytest.fixture(params=HOSTILE)
def poison(request: pytest.FixtureRequest) -> str:
    return HOSTILE[request.param]


def assert_inert(html: str) -> None:
    found = Page(html)
    assert not found.wrong
    assert not found.open
    assert not {"script", "iframe", "object", "embed", "link", "base", "form", "a:xlink"} & {
        tag for tag, _ in found.tags
    }
    for tag, attributes in found.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "xlink:href")], tag
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    styles = re.findall(r"<style>(.*?)</style>", html, re.S)
    assert len(styles) == 1
    assert not re.search(r"url\(|@import|expression", styles[0])


def test_the_page_asks_no_one_for_anything(shape: dict[str, Any]) -> None:
    assert_inert(report.html(shape))


def test_the_page_forbids_what_it_does_not_need() -> None:
    policies = [attrs["content"] for tag, attrs in page(document()).tags if attrs.get("http-equiv")]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_hostile_text_comes_out_inert(poison: str) -> None:
    assert_inert(report.html(poisoned(poison)))


def test_hostile_text_changes_no_tag_of_the_page(poison: str) -> None:
    def tags(text: str) -> list[str]:
        return [tag for tag, _ in page(poisoned(text)).tags if tag not in ("mark", "span")]

    assert tags(poison) == tags("harmless")


def test_the_page_stays_small_whatever_the_values_hold(poison: str) -> None:
    assert len(report.html(poisoned(poison)).encode()) < 2_000_000


def test_a_page_of_hundred_kilobyte_values_is_made_in_seconds() -> None:
    began = time.perf_counter()
    report.html(poisoned(HOSTILE["spread"]))
    assert time.perf_counter() - began < 20


@pytest.mark.parametrize("name", ["bidi", "nul", "surrogate", "controls"])
def test_characters_that_cannot_be_seen_are_shown(name: str) -> None:
    html = report.html(poisoned(HOSTILE[name]))
    assert "[U+" in html
    assert not [char for char in html if char != "\n" and not char.isprintable()]


def test_the_text_shows_no_control_sequence_and_obeys_no_markup(poison: str) -> None:
    text = printed(poisoned(poison))
    assert not [char for char in text if char != "\n" and not char.isprintable()]
    assert poison != HOSTILE["markup"] or "[bold red]" in text


def test_no_template_switches_escaping_off() -> None:
    for path in (Path(report.__file__).parent / "templates").rglob("*.j2"):
        assert not re.search(r"\|\s*safe|autoescape|Markup|style=", path.read_text()), path


def test_what_a_vendor_says_in_another_direction_is_isolated() -> None:
    data = document(losses=[loss("subject", "reset", was="לא ניתן", becomes="لا أستطيع")])
    assert re.search(r"<bdi[^>]*>(<mark[^>]*>)?לא ניתן", report.html(data))


def test_every_loss_appears_with_count_share_reason_and_examples() -> None:
    data = document(losses=[loss(f"f{at}x", "dropped", was=f"was-{at}x", becomes=f"new-{at}x") for at in range(60)])
    text = page(data).text
    for at in range(60):
        for word in (f"because-f{at}x", f"was-{at}x", f"new-{at}x", f"label-f{at}x", f"id-f{at}x"):
            assert word in text
    assert text.count("38 of 1,084 tickets 3.5%") == 60


def test_every_reason_task_path_call_and_run_appears() -> None:
    text = page(document()).text
    for word in ("reason-manual", "reason-merged", "reason-skipped", "Rebuild the forms", "In the admin pages."):
        assert word in text
    for word in (
        "via.rel",
        "uncovered-x",
        "dropped-because",
        "31/02/2025",
        "POST /tickets",
        "migrator plan",
        "run-what",
    ):
        assert word in text


def test_every_discrepancy_appears_with_what_was_expected_and_found() -> None:
    text = page(verified(*[discrepancy(at, f"want-{at}x", f"have-{at}x") for at in range(150)])).text
    for at in range(150):
        assert f"d-{at}" in text
        assert f"want-{at}x" in text
        assert f"have-{at}x" in text


def test_a_refused_record_stands_with_the_answer_and_the_remedy() -> None:
    row = {"unit": "ticket:9", "kind": "ticket", "label": "Printers", "answer": "400 no", "remedy": "Map it."}
    text = page(document(quarantine=[row])).text
    assert all(word in text for word in ("ticket:9", "Printers", "400 no", "Map it."))


def test_a_list_that_is_cut_says_how_many_more_there_are() -> None:
    assert "and 300 more discrepancies" in page(verified(*[discrepancy(at) for at in range(500)])).text


def test_the_largest_losses_are_kept_when_there_are_too_many() -> None:
    data = document(losses=[loss(f"f{at}x", "reset", count=at + 1) for at in range(300)])
    text = page(data).text
    assert "There are 300; the 200 largest are below." in text
    assert "because-f299x" in text
    assert "because-f99x" not in text


def test_the_verdict_says_it_in_one_sentence() -> None:
    kinds = [kind("custom_field", manual=6), kind("ticket", created=1204)]
    headline = verdict(document(kinds=kinds, balance=[])).headline
    assert headline == "1,204 of 1,210 records arrive; 6 need a person; nothing is unaccounted for."


def test_an_empty_source_is_said_to_be_empty() -> None:
    assert "There is nothing to move" in page(empty()).text


def test_a_plan_counts_what_waits_as_arriving_and_a_load_does_not() -> None:
    kinds = [kind("ticket", pending=10, created=2)]
    assert verdict(document(kinds=kinds, balance=[])).headline.startswith("All 12 records arrive;")
    loading = verdict(document(kinds=kinds, balance=[], stage="loading")).headline
    assert loading.startswith("2 of 12 records have arrived; 10 are still to be written;")


def test_records_never_written_are_no_success_once_all_is_loaded() -> None:
    data = verified(kinds=[kind("ticket", pending=10, created=2)], balance=[], todo=[], reasons=[])
    assert any("10 planned records are not written" in point.text for point in verdict(data).points)
    assert verdict(data).tone == "attention"


def test_a_balance_that_holds_has_ticks_only() -> None:
    text = page(document()).text
    assert "✗" not in text
    assert text.count("✓") >= 4


@pytest.mark.parametrize(
    "change",
    [{"ok": False}, {"accounted": 1083}, {"source": 1085}, {"vendor_count": 1090, "ok": False}],
    ids=["said", "accounted", "source", "vendor"],
)
def test_a_balance_that_does_not_hold_gets_a_cross_and_a_bad_verdict(change: dict[str, Any]) -> None:
    data = copy.deepcopy(document())
    data["balance"][2].update(change)
    assert [row.holds for row in balance(data)] == [True, True, False]
    assert verdict(data).tone == "bad"
    assert "nothing is unaccounted for" not in verdict(data).headline
    assert "✗" in page(data).text
    assert "Tickets do not balance" in page(data).text
    assert "Something above is wrong" in page(data).text


def test_a_kind_without_a_row_in_the_balance_is_balanced_by_its_own_numbers() -> None:
    data = document(kinds=[{**kind("ticket", created=9), "source": 12}], balance=[])
    assert "3 are unaccounted for" in verdict(data).headline


def test_a_clean_verification_is_said_of_every_record() -> None:
    assert page(verified()).text.count("Every one of 1,184 records was read back and equals the prediction.") == 2


@pytest.mark.parametrize(
    "change",
    [{"missing": 1}, {"count": 1}, {"equal": 1183}, {"records": 0, "equal": 0}],
    ids=["missing", "counted", "unequal", "none"],
)
def test_a_verification_is_clean_only_if_every_number_says_so(change: dict[str, int]) -> None:
    data = verified()
    data["verification"].update(change)
    assert verdict(data).tone == "bad"
    assert "Every one of" not in page(data).text


def test_records_that_stay_behind_without_a_reason_are_pointed_out() -> None:
    data = document(reasons=[])
    assert "17 skipped records carry no reason." in page(data).text
    assert verdict(data).tone == "attention"


def test_empty_sections_say_so_in_words() -> None:
    text = page(empty()).text
    for words in (
        "The source holds no records of any kind.",
        "There is nothing to balance",
        "Nothing is lost",
        "Nothing: there is no task",
        "None: no record is skipped",
        "No call is needed.",
        "Not verified yet.",
        "Empty: Northdesk",
        "None: every path",
        "None: no path is left behind.",
        "None: every value was of the type",
        "No run is on record.",
    ):
        assert words in text


def test_whoever_signs_names_the_whole_digest() -> None:
    text = page(document()).text
    assert f"I have read the losses above and approve plan {DIGEST}" in text
    assert all(word in text for word in ("Name", "Date", "Signature"))


def test_every_table_has_a_caption_and_every_chart_a_text(shape: dict[str, Any]) -> None:
    found = page(shape)
    tags = [tag for tag, _ in found.tags]
    assert tags.count("table") == tags.count("caption")
    for tag, attributes in found.tags:
        assert tag != "svg" or attributes.get("aria-hidden") == "true" or attributes.get("aria-label")


def test_headings_descend_one_level_at_a_time(shape: dict[str, Any]) -> None:
    levels = [int(tag[1]) for tag, _ in page(shape).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))


def test_every_link_leads_to_a_place_on_the_page(shape: dict[str, Any]) -> None:
    tags = page(shape).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["href"][1:] for _, attributes in tags if "href" in attributes} <= set(ids)


def _contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    dark, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_ink_is_readable_on_its_ground(theme: int) -> None:
    roots = re.findall(r":root \{(.*?)\}", report.html(document()), re.S)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", roots[theme]))
    pairs = [
        (ink, ground) for ink in ("ink", "soft", "accent", "good", "bad", "attention") for ground in ("paper", "card")
    ]
    pairs += [(name, f"{name}-ground") for name in ("accent", "good", "bad", "attention")] + [("soft", "bad-ground")]
    for ink, ground in pairs:
        assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


def test_the_same_data_makes_the_same_page(shape: dict[str, Any]) -> None:
    before = copy.deepcopy(shape)
    assert report.html(shape) == report.html(shape)
    assert shape == before


def test_the_text_says_verdict_balance_losses_tasks_discrepancies_and_digest() -> None:
    text = printed(verified(discrepancy(1, "want-x", "have-x")))
    for word in (verdict(verified(discrepancy(1))).headline, "custom fields", "because-subject", "Rebuild the forms"):
        assert word in text
    assert all(word in text for word in ("want-x", "have-x", DIGEST, "✓"))


def test_the_text_of_nothing_is_short() -> None:
    assert len(printed(empty()).splitlines()) < 12


def test_a_small_part_of_a_bar_can_still_be_seen() -> None:
    widths = [float(part.width[:-1]) for part in stacked([("created", 1_000_000), ("manual", 1), ("kept", 0)])]
    assert widths[1] > 0.5
    assert sum(widths) == pytest.approx(100, abs=0.05)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("caf\u00e9", "cafe\u0301"),
        ("a\u00a0b", "a b"),
        ("line\r\nline", "line\nline"),
        ("word ", "word"),
        ("a\u200bb", "ab"),
        ("x" * 5000 + "a" + "y" * 5000, "x" * 5000 + "b" + "y" * 5000),
        ("x" * 5000, "x" * 4999),
        ("", None),
        (" ", ""),
        (1, "2"),
    ],
)
def test_two_values_that_differ_never_look_the_same(was: Any, becomes: Any) -> None:
    left, right = wording.compared(was, becomes)
    assert left != right
    assert left.before == right.before or not left.before


def test_only_the_words_that_differ_are_marked() -> None:
    left, right = wording.compared("the printer in Hamburg is broken", "the printer in Hamburg was broken")
    assert (left.before, left.changed, left.after) == ("the printer in Hamburg ", "is", " broken")
    assert right.changed == "was"


@pytest.mark.parametrize(
    ("name", "plural"),
    [
        ("custom_field", "custom fields"),
        ("reply", "replies"),
        ("mailbox", "mailboxes"),
        ("day", "days"),
        ("status", "statuses"),
    ],
)
def test_a_kind_has_a_readable_plural(name: str, plural: str) -> None:
    assert wording.kinds(name) == plural


@pytest.mark.parametrize(
    ("count", "of", "words"), [(1, 48_211, "under 0.1%"), (48_210, 48_211, "over 99.9%"), (1, 4, "25%"), (0, 0, "")]
)
def test_a_share_never_rounds_something_to_nothing_or_to_all(count: int, of: int, words: str) -> None:
    assert wording.share(count, of) == words


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0, "no time"),
        (0.2, "under a minute"),
        (59.7, "1 h"),
        (60, "1 h"),
        (125, "2 h 5 min"),
        (1440 * 3, "3 days"),
        (float("inf"), "an unknown time"),
    ],
)
def test_a_length_of_time_is_said_as_a_person_would(minutes: float, words: str) -> None:
    assert wording.duration(minutes) == words
