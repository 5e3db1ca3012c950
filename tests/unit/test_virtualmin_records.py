"""What Virtualmin's programs are told and what they print of it: said, and read back, it is the same."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from migrator.testing.sandbox import Sandbox
from migrator.zones.records import record_set
from tests.support.connectors import connector

api, dns, records = connector("virtualmin.api"), connector("virtualmin.dns"), connector("virtualmin.records")
twin, programs = connector("virtualmin.sandbox"), connector("virtualmin.sandbox.programs")
ZONE, HOME = f"{twin.SERVER}.", twin.SERVER
BERLIN = ZoneInfo("Europe/Berlin")


def ran(box: Sandbox, program: str, *words: str) -> dict[str, Any]:
    """Run a program of the twin and return its answer."""
    out = programs.PROGRAMS[program](box, list(words))
    found: dict[str, Any] = twin.converted(program, out, 0, {})
    return found


def listed(what: Any, answer: dict[str, Any]) -> list[Any]:
    return [one for item in answer["data"] if (one := api._record(what, item)) is not None]


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(st.text(st.sampled_from('ab ;=(\t"\\é'), max_size=400))
@example("v=spf1 ip4:192.0.2.0/24 -all")
@example("a" * 79 + "  " + "b" * 300)
@example("a" * 80 + " " + "b" * 300)
@example("x" * 256)
def test_a_text_is_left_to_a_person_or_reads_back_as_it_was(text: str) -> None:
    one = record_set(ZONE, "k", "TXT", 600, [quoted(text)])
    if dns.unsayable(one):
        return
    box = twin.create()
    ran(box, "enable-feature", "--domain", HOME, "--dns")
    words = [word for line in dns.lines(one) for word in ("--add-record-with-ttl", line)]
    ran(box, "modify-dns", "--domain", HOME, *words)
    found = {set_.id: set_ for set_ in dns.gathered(ZONE, listed(api.RECORDS, ran(box, "get-dns", "--domain", HOME)))}
    assert (found[one.id].values, found[one.id].ttl) == (one.values, one.ttl)


@pytest.mark.parametrize(
    "text", ['say "hi"', "back\\slash", "Grün", "two  blanks", " first", "last ", "", "a" * 80 + " " + "b" * 200]
)
def test_what_virtualmin_would_write_otherwise_is_named(text: str) -> None:
    assert dns.unsayable(record_set(ZONE, "k", "TXT", 600, [quoted(text)]))


@pytest.mark.parametrize(
    ("type", "value"),
    [("MX", "10 mx.else.example."), ("CAA", '0 issue "letsencrypt.org"'), ("SRV", "1 2 5060 sip.else.example.")],
)
def test_values_of_several_words_read_back(type: str, value: str) -> None:
    box, one = twin.create(), record_set(ZONE, "@", type, 300, [value])
    ran(box, "enable-feature", "--domain", HOME, "--dns")
    ran(
        box,
        "modify-dns",
        "--domain",
        HOME,
        "--remove-record",
        f"{ZONE} {type}",
        "--add-record-with-ttl",
        *dns.lines(one),
    )
    found = {each.id: each for each in dns.gathered(ZONE, listed(api.RECORDS, ran(box, "get-dns", "--domain", HOME)))}
    assert found[one.id].values == one.values


@given(
    st.text(st.sampled_from("aß: \n\t-|F"), max_size=60),
    st.sampled_from(["", "From: ", "Charset:", "\n\nReply-Period: "]),
)
def test_an_answer_is_left_to_a_person_or_reads_back_as_it_was(text: str, before: str) -> None:
    body = (before + text).strip()  # connector.yaml: trim
    if not body or records.HEADERS.match(body):
        return
    box = twin.create()
    ran(box, "create-user", "--domain", HOME, "--user", "ann", "--pass", "x", "--no-creation-mail")
    ran(box, "modify-user", "--domain", HOME, "--user", "ann", "--autoreply", records.told_text(body))
    [one] = listed(api.USERS, ran(box, "list-users", "--domain", HOME, "--simple-aliases"))
    assert records.user(one, "/home/home", UTC)["body"] == body


@pytest.mark.parametrize(("quota", "said"), [(None, "UNLIMITED"), (0, "UNLIMITED"), (1, "1"), (1024, "1"), (1025, "2")])
def test_a_quota_is_whole_blocks_and_none_is_unlimited(quota: int | None, said: str) -> None:
    assert records.blocks(quota) == said


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2026-12-31"])
def test_a_day_begins_at_midnight_of_the_server(day: str) -> None:
    moment = records.begins(day, BERLIN)
    assert records.day(moment, BERLIN) == day
    assert records.day(moment, UTC) is None, "it is another time of day elsewhere"


@pytest.mark.parametrize(
    "noise", ["perl: warning: Setting locale failed.", "Use of uninitialized value $x at y line 3"]
)
def test_what_programs_complain_of_is_no_record_and_spoils_none_in_silence(noise: str) -> None:
    box = twin.create()
    for name in ("ann", "bob"):
        ran(box, "create-user", "--domain", HOME, "--user", name, "--pass", "x", "--no-creation-mail")
    out = programs.PROGRAMS["list-users"](box, ["--domain", HOME])
    whole = listed(api.USERS, twin.converted("list-users", out, 0, {}))
    lines = out.split("\n")
    outcomes = set()
    for at in range(len(lines)):
        spoilt = "\n".join([*lines[:at], noise, *lines[at:]])
        try:
            found = listed(api.USERS, twin.converted("list-users", spoilt, 0, {}))
        except api.VendorError:
            outcomes.add("refused")
            continue
        outcomes.add("read")
        assert found == whole, at
    assert outcomes == {"refused", "read"}
