"""cPanel's filters in Sieve: what is said is Sieve, what cannot be said is left, and what stands behind it too."""

from __future__ import annotations

from typing import Any

import pytest
from sievelib.parser import Parser

from migrator.connectors.cpanel.filters import Spelling, scripts, translated
from migrator.connectors.panels import forwarders

ANN = "ann@acme.example"
SAVE, STOP = {"action": "save", "dest": "$home/mail/acme.example/ann/.Work.2024"}, {"action": "finish"}


def rule(part: str = "$header_subject:", match: str = "contains", val: str = "x", **more: Any) -> dict[str, Any]:
    return {"part": part, "match": match, "val": val, **more}


def one(*rules: dict[str, Any], actions: Any = (SAVE,), name: str = "f", **more: Any) -> dict[str, Any]:
    return {"filtername": name, "rules": list(rules or [rule()]), "actions": list(actions), **more}


def valid(script: str) -> bool:
    parser = Parser()
    return bool(parser.parse(script.encode()))


@pytest.mark.parametrize("part", ["$header_from:", "$h_List-Id:", "foranyaddress $h_to:,$h_cc:,$h_bcc:"])
@pytest.mark.parametrize("match", ["is", "contains", "begins", "ends", "is not", "does not contain", "does not begin"])
@pytest.mark.parametrize("val", ["x", '"; discard; #', "\\", "a*b?", "grün\r\n.", "'"])
def test_whatever_a_rule_asks_for_is_one_text_of_a_valid_script(part: str, match: str, val: str) -> None:
    found = translated([one(rule(part, match, val), actions=[{"action": "save", "dest": "/dev/null"}])], ANN)
    if part.startswith("foranyaddress") and "not" in match:  # one of them is not: nobody but Exim asks so
        assert [name for name, _ in found.left] == ["f"]
        return
    assert found.left == []
    assert valid(found.script), found.script
    assert found.script.count("discard;") == 1 + val.count("discard;")
    assert ("not " in found.script) == ("not" in match)


@pytest.mark.parametrize(
    ("words", "joined"),
    [(("or", "or"), "anyof"), (("and", "and"), "allof"), ((None, None), ""), (("or", "and"), ""), (("and", "or"), "")],
)
def test_rules_are_joined_as_told_and_where_it_is_not_clear_nobody_guesses(words: Any, joined: str) -> None:
    found = translated([one(*(rule(opt=word) for word in words))], ANN)
    assert joined in found.script
    assert bool(found.script) == bool(joined) == (not found.left)


@pytest.mark.parametrize(
    "odd",
    [
        one(rule("$message_body")), one(rule(match="matches")), one(rule(match="is above")), one(rule(val="")),
        one(rule("error_message")), one(actions=[{"action": "pipe", "dest": "/bin/x"}]), one(actions=[]),
        one(actions=[{"action": "save", "dest": "$home/mail/acme.example/bob/.Work"}]),
        one(actions=[{"action": "save", "dest": "/etc/passwd"}]), one(actions=[{"action": "deliver", "dest": "a b@c"}]),
    ],
)  # fmt: skip
def test_what_stands_behind_a_filter_that_is_left_is_left_too(odd: dict[str, Any]) -> None:
    first, last = one(name="first"), one(name="last", actions=[{"action": "save", "dest": "/dev/null"}])
    found = translated([first, {**odd, "filtername": "odd"}, last], ANN)
    assert [name for name, _ in found.left] == ["odd", "last"]
    assert "discard" not in found.script
    assert "Work/2024" in found.script


def test_mail_is_refused_only_where_nothing_was_done_with_it_before() -> None:
    fail = one(actions=[{"action": "fail", "dest": "go away"}], name="fail")
    assert 'reject "go away"' in translated([one(actions=[SAVE, STOP]), fail], ANN).script
    assert [name for name, _ in translated([one(), fail], ANN).left] == ["fail"]


def test_folders_are_spelled_as_the_new_server_spells_them() -> None:
    assert 'fileinto "INBOX.Work.2024"' in translated([one()], ANN, Spelling("INBOX.", ".")).script


def test_filters_of_the_whole_account_come_first_and_those_switched_off_apart() -> None:
    shared, own = [one(name="all")], [one(name="own"), one(name="off", enabled="0")]
    made = scripts(ANN, ANN, shared, own, Spelling())
    assert [(each["name"], each["active"]) for each in made] == [("cpanel", True), ("off", False)]
    assert made[0]["script"].index("# all") < made[0]["script"].index("# own")
    assert len({each["id"] for each in made}) == 2


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("a@b.example, c@d.example", ["a@b.example", "c@d.example"]),
        ('"|/bin/x --a, --b", c@d.example', ["|/bin/x --a, --b", "c@d.example"]),
        (":blackhole:", [":blackhole:"]), ("acme", ["acme"]), ("", []),
    ],
)  # fmt: skip
def test_a_forwarders_line_names_its_targets(text: str, targets: list[str]) -> None:
    assert forwarders.split_targets(text) == targets


def test_a_target_that_is_the_address_itself_keeps_a_copy() -> None:
    assert forwarders.alias(ANN, "acme.example", [ANN, "x@y.example", "|/bin/x"]) == {
        "id": ANN, "address": ANN, "domain": "acme.example", "destinations": ["x@y.example"], "other": "|/bin/x",
        "keep_copy": True,
    }  # fmt: skip
