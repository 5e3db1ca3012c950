"""Autoresponders as Sieve: what they say there, and which of them are left to a person."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.connectors.cpanel.filters import Spelling, scripts
from migrator.connectors.cpanel.responders import Left, answer_of, answered

ANN = "ann@acme.example"
AWAY = {"from": ANN, "subject": "Away", "body": 'Back "soon".\n', "interval": 25, "is_html": False}


def filtering(action: str, dest: str = "", *more: str) -> dict[str, Any]:
    rules = [{"part": "$header_subject:", "match": "contains", "val": "x", "opt": "or"}]
    actions = [{"action": action, "dest": dest}, *({"action": one} for one in more)]
    return {"filtername": action, "enabled": 1, "rules": rules, "actions": actions}


def test_a_responder_stands_behind_the_filters_of_its_mailbox() -> None:
    answer = answer_of(ANN, [filtering("fail", "no")], AWAY, Spelling())
    (script,) = scripts(ANN, ANN, [], [filtering("fail", "no")], Spelling(), answer)
    assert script["script"].startswith('require ["reject", "vacation"];\n# fail\nif header')
    said = f'# autoresponder\nvacation :days 2 :subject "Away" :from "{ANN}" "Back \\"soon\\".\n";\n'
    assert script["script"].endswith(said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"interval": 0}, "vacation :days 1 "),
        ({"subject": "Re: %subject%"}, 'set "subject" "${1}"; }\nvacation :days 2 :subject "Re: ${subject}"'),
        ({"is_html": True}, ':mime "Content-Type: text/html; charset=utf-8\n\nBack'),
        ({"start": 1719792000}, '"+0000" :value "ge" "iso8601" "2024-07-01T00:00:00+00:00"'),
        ({"stop": 1719792000}, '"+0000" :value "lt" "iso8601" "2024-07-01T00:00:00+00:00"'),
        ({"from": "no address"}, 'vacation :days 2 :subject "Away" "Back'),
    ],
)
def test_what_a_responder_says_is_said_in_sieve(changes: dict[str, Any], said: str) -> None:
    assert said in answered(ANN, [], AWAY | changes, Spelling())[0]


@pytest.mark.parametrize(
    ("filters", "changes", "why"),
    [
        ([], {"body": " "}, "no text"),
        ([], {"body": "You wrote %subject%"}, "names the sender"),
        ([], {"subject": "%from%"}, "names the sender"),
        ([filtering("pipe", "/bin/x")], {}, "is left"),
        ([filtering("save", "/dev/null")], {}, "throws mail away"),
    ],
)
def test_what_could_answer_otherwise_than_at_the_old_host_is_left(
    filters: list[dict[str, Any]], changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(Left, match=why):
        answered(ANN, filters, AWAY | changes, Spelling())
    assert answer_of(ANN, filters, AWAY | changes, Spelling()) is None


def test_what_a_filter_throws_away_and_ends_is_not_answered_and_a_filter_that_is_off_counts_for_nothing() -> None:
    ends = filtering("save", "/dev/null", "finish")
    off = filtering("pipe", "/bin/x") | {"enabled": 0}
    assert answered(ANN, [ends, off], AWAY, Spelling())[1] == {"vacation"}
