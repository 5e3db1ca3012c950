"""Mail filters through the rules: cPanel's to Sieve, Sieve's to Sieve; Pigeonhole judges, beside a model of Exim."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.connectors.cpanel.filters import translated, translation
from migrator.connectors.imap.rules.writing import whole
from migrator.rules.conditions import leaves
from migrator.rules.records import translated as judged
from migrator.testing.servers import Unavailable
from migrator.testing.servers.packages import need
from tests.support.mail_filters import Judge, exim, filters, message, script

ANN = "ann@acme.example"


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    try:
        need(("dovecot-sieve",), programs=["sieve-test"])
    except Unavailable as why:
        pytest.skip(str(why))
    with tempfile.TemporaryDirectory(prefix="migrator-sieve-") as name:
        yield Judge(Path(name))


@pytest.mark.parametrize("seed", range(12))
def test_what_is_said_of_cpanels_filters_pigeonhole_does_as_exim_does(judge: Judge, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(4):
        listed = filters(chance)
        found = translated(listed, ANN)
        said = listed[: len(listed) - len(found.left)]
        for _ in range(3):
            mail = message(chance)
            assert judge(found.script, mail) == exim(said, mail), (found.script, mail.as_string())


def test_most_filters_can_be_said_and_what_cannot_has_a_reason() -> None:
    chance, counts = random.Random(1), Counter[str]()
    for _ in range(300):
        (one, *_) = filters(chance)
        made = translation(one, ANN)
        counts[made.verdict] += 1
        assert bool(made.native) or made.verdict not in ("exact", "equivalent")
        assert all(finding.note for finding in made.findings if finding.verdict not in ("exact", "equivalent"))
    assert counts["exact"] + counts["equivalent"] > 150
    assert counts["unreadable"] > 0


@pytest.mark.parametrize("seed", range(12))
def test_a_script_read_into_rules_and_written_again_does_the_same(judge: Judge, seed: int) -> None:
    chance, sieve = random.Random(1000 + seed), registry.dialect("imap")
    for _ in range(2):
        text = script(chance)
        blocks: list[tuple[str, str]] = []
        requires: set[str] = set()
        for kind, native in sieve.listed({"scripts": [{"name": "main", "script": text}]}):
            made = judged(sieve, sieve.read(native, kind))
            assert made.verdict == "exact", (made.findings, text)
            blocks.append((made.rule.name, made.native[0]["script"]))
            requires |= set(made.native[0]["requires"])
        again = whole(blocks, requires)
        for _ in range(3):
            mail = message(chance)
            assert judge(again, mail) == judge(text, mail), (text, again, mail.as_string())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('require "variables"; set "x" "y"; keep;', "the extension variables"),
        ('if header :matches "subject" "a*b" { discard; }', "wildcards"),
        ('require "vacation"; vacation "away";', "not among the actions"),
        ('if header :comparator "i;octet" :is "subject" "A" { discard; }', "upper and lower case"),
        ("this is no sieve", "no Sieve that sievelib parses"),
    ],
)
def test_what_cannot_be_read_of_a_script_is_said_and_never_guessed(text: str, why: str) -> None:
    sieve: Any = registry.dialect("imap")
    made = [judged(sieve, sieve.read(one, kind)) for kind, one in sieve.listed({"scripts": [{"script": text}]})]
    assert {one.verdict for one in made} <= {"unreadable", "untranslatable", "exact"}
    told = [getattr(node, "why", "") for one in made for node in (*leaves(one.rule.when), *one.rule.do)]
    assert any(why in one for one in told), told


def test_rules_about_tickets_are_nothing_sieve_can_say_nor_are_filters_anything_for_a_help_desk() -> None:
    sieve, zendesk, cpanel = map(registry.dialect, ("imap", "zendesk", "cpanel"))
    trigger = zendesk.read({"title": "t", "conditions": {}, "actions": []}, "trigger")
    assert sieve.write(trigger).verdict == "untranslatable"
    ((kind, native),) = sieve.listed({"scripts": [{"name": "x", "script": "if size :over 1M { discard; }"}]})
    one = sieve.read(native, kind)
    assert cpanel.write(one).verdict == "untranslatable"
    for vendor in ("zendesk", "freshdesk", "zammad", "chatwoot", "request_tracker", "znuny"):
        assert judged(registry.dialect(vendor), one).verdict == "untranslatable", vendor


def test_the_same_customer_reads_both_in_the_report(tmp_path: Path) -> None:
    from migrator.customizations import explain

    file = tmp_path / "filters.json"
    file.write_text(
        '{"data": [{"filtername": "spam", "rules": [{"part": "$header_subject:", "match": "begins", "val": "[SPAM]"}],'
        ' "actions": [{"action": "save", "dest": "$home/mail/.Junk"}]},'
        ' {"filtername": "pipe", "rules": [{"part": "$header_to:", "match": "contains", "val": "x"}],'
        ' "actions": [{"action": "pipe", "dest": "/bin/x"}]}]}',
        encoding="utf-8",
    )
    shown = explain(file, "cpanel", "imap")
    told = str(shown)
    assert "the mail's subject starts with “[SPAM]”" in told
    assert "fileinto" in told
    assert "does 'pipe' to '/bin/x', which others cannot" in told
