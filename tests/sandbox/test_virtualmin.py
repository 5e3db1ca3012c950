"""A cPanel account moves into Virtualmin, changes, and is taken back; and what a program answers is judged."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.connector import Unit
from migrator.errors import AccessError, ForbiddenError, RefusedError, UnknownOutcomeError
from migrator.migration import Account
from migrator.passport import passport
from migrator.project import open_project, side
from migrator.rehearsal import rehearse
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.conformance.runs import read_all
from migrator.testing.sandbox import Sandbox, mount
from tests.support.connectors import connector
from tests.support.server_desks import steps_between, steps_into

pytestmark = pytest.mark.sandbox
FOLLOW = {"deleted": "delete"}


@pytest.fixture
def panel() -> Sandbox:
    box: Sandbox = registry.connector("virtualmin").sandbox.create()
    return box


def opened_at(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch, options: dict[str, str] | None = None, **settings: str
) -> Any:
    module = connector("virtualmin.sandbox")
    monkeypatch.setenv("MIGRATOR_TEST_PASSWORD", module.TOKEN)
    secrets = {"password": "env:MIGRATOR_TEST_PASSWORD"}
    told = {**module.SETTINGS, **settings}
    account = Account(
        vendor="virtualmin", url=panel.base_url, settings=told, secrets=secrets, workers=1, options=options or {}
    )
    clock = panel.clock
    return side(account, None, "test").open(session=mount(panel), sleep=clock.sleep, monotonic=clock.monotonic)


def test_a_cpanel_account_arrives_changes_and_is_taken_back(
    panel: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = registry.connector("cpanel").sandbox.create()
    registry.connector("cpanel").part("demo").fill(old)
    steps = steps_into(tmp_path / "w", old, panel, monkeypatch, policies=FOLLOW)
    steps.extract()
    plan = steps.plan()
    assert not plan.unaccounted
    ways = {(line.kind, line.action) for line in plan.dispositions}
    assert {kind for kind, _ in ways} >= set(registry.connector("cpanel").mapping.kinds)
    _, rehearsed, differences = rehearse(steps)
    assert rehearsed.proven, differences
    assert set(panel.store["domains"]) == {"home.example"}, "a rehearsal is none of the account's business"
    assert steps.load(plan.digest, accept_losses=True).finished
    verified, differences = steps.verify()
    assert verified.proven, differences
    held = {table: set(rows) for table, rows in panel.store.items() if rows}
    assert held.pop("record_sets") > {"acme.example. A acme.example.", "acme.example. SRV _sip._tcp.acme.example."}
    assert held == {
        "domains": {"home.example", "acme.example", "acme.test", "second.example", "blog.second.example"},
        "users": {"ann@acme.example", "bob@acme.example", "acme@acme.example", "up@acme.example"},
        "aliases": {"sales@acme.example", "@acme.test"},
        "redirects": {"acme.example/old"},
        "zones": {"acme.example."},
    }
    other = panel.store["domains"]["acme.test"]
    assert (other["alias"], set(other["features"])) == ("acme.example", {"dir", "mail", "web"}), "mail and site follow"
    assert panel.store["aliases"]["@acme.test"]["to"] == ["%1@acme.example"], "and nobody took that out"
    assert "mail" not in panel.store["domains"]["second.example"]["features"], "its mail is elsewhere"
    assert panel.store["users"]["bob@acme.example"]["pass"].startswith("!"), "suspended"
    assert not panel.state.get("mails"), "nobody is written to"
    with Stage(tmp_path / "w" / "stage.duckdb") as stage:
        destination = registry.connector("virtualmin")
        verdicts = {login.verdict for login in passport(stage, destination.kinds, destination.manifest)}
    assert "goes along" not in verdicts  # cPanel's UAPI shows no hash
    assert "set again" in verdicts

    changed(old)
    steps.extract()
    delta = steps.plan()
    assert ("mailbox", "update") in {(line.kind, line.action) for line in delta.dispositions}
    assert steps.load(delta.digest, accept_losses=True).finished
    verified, differences = steps.verify()
    assert verified.proven, differences
    ann = panel.store["users"]["ann@acme.example"]
    assert (ann["quota"], ann["text"]) == (512000, "Away until Friday.\n")
    assert panel.store["aliases"]["sales@acme.example"]["to"] == ["bob@acme.example"]
    assert "up@acme.example" not in panel.store["users"]
    served = panel.store["record_sets"]
    assert [one["values"] for one in served["acme.example. A acme.example."]["rrs"]] == [["192.0.2.11"]]
    assert "acme.example. CNAME shop.acme.example." not in served

    steps.undo()
    assert steps.load(steps.saved_plan()["digest"]).finished
    assert {table: set(rows) for table, rows in panel.store.items() if rows} == {"domains": {"home.example"}}


def test_an_account_is_read_whole_and_every_leaf_of_it_is_spoken_of(
    panel: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.connector("virtualmin").part("demo").fill(panel)
    new, module, other = (
        registry.connector("ispconfig").sandbox.create(),
        connector("virtualmin.sandbox"),
        connector("ispconfig.sandbox"),
    )
    source = Account(vendor="virtualmin", url=panel.base_url, settings=module.SETTINGS, workers=1)
    destination = Account(vendor="ispconfig", url=new.base_url, settings=other.SETTINGS, workers=1)
    given = {"password": module.TOKEN}
    steps_between(tmp_path / "w", (source, given), (destination, {"password": other.TOKEN}), monkeypatch, panel.clock)
    clock = panel.clock
    steps = Steps(
        open_project(tmp_path / "w"), mount(panel), mount(new), sleep=clock.sleep, monotonic=clock.monotonic,
        clock=clock.now,
    )  # fmt: skip
    steps.extract()
    plan = steps.plan()
    assert not plan.unaccounted
    coverage = json.loads((tmp_path / "w" / "coverage.json").read_text(encoding="utf-8"))
    assert coverage["uncovered"] == []
    made = {line.kind: line.count for line in plan.dispositions if line.action == "create"}
    assert made == {"domain": 4, "mailbox": 2, "alias": 2, "catch_all": 1, "autoresponder": 1, "website": 1}


def test_a_hash_goes_along_as_it_is_and_who_has_none_gets_what_nobody_knows(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = opened_at(panel, monkeypatch)
    for name, more in (("ann", {"hash": "{SHA512-CRYPT}$6$salt$hash"}), ("bob", {}), ("eve", {})):
        opened.write([unit("mailbox", {"address": f"{name}@home.example", "suspended": False, **more})])
    ann, bob, eve = panel.store["users"].values()
    assert (ann["pass"], ann["plain"]) == ("$6$salt$hash", "")
    assert len({bob["plain"], eve["plain"], ""}) == 3


def changed(old: Sandbox) -> None:
    """Let the customer go on working in the old account."""
    listed = {
        name: old.store[f"listed {name}"] for name in ("pops", "autoresponders", "forwarders", "ftp", "zone_lines")
    }
    listed["pops"][0] |= {"_diskquota": 524288000, "diskquota": 500}
    listed["autoresponders"][0]["body"] = "Away until Friday.\n"
    listed["forwarders"][1]["forward"] = "bob@acme.example"
    del listed["forwarders"][0]
    del listed["ftp"][1]
    for key, one in list(listed["zone_lines"].items()):
        line = one["line"]
        if line["type"] == "record" and line["record_type"] == "A" and line["dname_b64"] == coded("acme.example."):
            line["data_b64"] = [coded("192.0.2.11")]
        if line.get("dname_b64") == coded("shop"):
            del listed["zone_lines"][key]


def coded(text: str) -> str:
    return b64encode(text.encode()).decode()


def made(panel: Sandbox, program: str, **params: str) -> None:
    """Run a program of the twin as somebody else."""
    words = [(f"--{name.replace('_', '-')}", value) if value else (f"--{name}",) for name, value in params.items()]
    connector("virtualmin.sandbox").seed(panel, "", [{"program": program, "params": words}])


def unit(kind: str, payload: dict[str, Any], **more: Any) -> Unit:
    variant = {"catch_all": "caught", "domain": "server"}.get(kind, kind)
    return Unit(kind, "1", variant, payload, {}, "key", {}, **more)


def test_servers_of_others_are_not_read_and_passwords_are_not_staged(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.connector("virtualmin").part("demo").fill(panel)
    made(panel, "create-domain", domain="theirs.example", **{"pass": "x"}, dir="", mail="")
    made(panel, "create-user", domain="theirs.example", user="eve", **{"pass": "x"})
    bodies = [record.body for records in read_all(opened_at(panel, monkeypatch)).values() for record in records]
    assert bodies
    assert not [body for body in bodies if b"theirs" in body or b"secret" in body]


def test_a_twin_that_is_furnished_with_what_a_plan_found_tells_the_same(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.connector("virtualmin").part("demo").fill(panel)
    whole = read_all(opened_at(panel, monkeypatch))
    module = connector("virtualmin.sandbox")
    twin = module.create()
    for stream in sorted(whole):  # as migrator.rehearsal does
        twin.store[stream].clear()
        module.seed(twin, stream, [json.loads(record.body) for record in whole[stream]])
    again = read_all(opened_at(twin, monkeypatch))
    for stream, records in whole.items():
        assert [json.loads(one.body) for one in again[stream]] == [json.loads(one.body) for one in records], stream


@pytest.mark.parametrize(
    ("trouble", "error", "said"),
    [("sessions", AccessError, "session=0"), ("stranger", ForbiddenError, "master administrator")],
)
def test_who_may_not_use_the_api_is_told_why(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch, trouble: str, error: type[Exception], said: str
) -> None:
    panel.state[trouble] = True
    opened = opened_at(panel, monkeypatch)
    with pytest.raises(error, match=said):
        list(opened.pages("domains", None, lambda stream: []))
    with pytest.raises(error, match=said):
        opened.write([unit("domain", {"name": "a.example", "type": "Sub-server", "mail": "y"})])


@pytest.mark.parametrize(
    ("settings", "wrong"), [({}, []), ({"server": "none.example"}, ["virtual server none.example"]),
                            ({"server": "rowan.example"}, ["virtual server rowan.example"])],
)  # fmt: skip
def test_check_finds_the_accounts_own_virtual_server(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], wrong: list[str]
) -> None:
    registry.connector("virtualmin").part("demo").fill(panel)
    findings = opened_at(panel, monkeypatch, **settings).check()
    assert [finding.what for finding in findings if not finding.ok] == wrong


def test_a_virtual_server_that_holds_what_others_made_is_not_deleted(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = opened_at(panel, monkeypatch)
    for name in ("full.example", "kept.example", "empty.example"):
        made(panel, "create-domain", domain=name, parent="home.example", dir="", mail="")
    made(panel, "create-user", domain="full.example", user="ann", **{"pass": "x"})
    panel.store["domains"]["kept.example"]["protected"] = True
    for name, said in (("home.example", "own"), ("full.example", "logins"), ("kept.example", "protected")):
        with pytest.raises(RefusedError, match=said):
            opened.write([unit("domain", {}, action="delete", there=name)])
    opened.write([unit("domain", {}, action="delete", there="empty.example")])
    assert set(panel.store["domains"]) == {"home.example", "full.example", "kept.example"}


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("mailbox", {"address": "ann@theirs.example", "suspended": False}),
        ("alias", {"address": "eve@theirs.example", "destinations": ["x@else.example"], "keep_copy": True}),
        ("catch_all", {"of": "theirs.example", "destination": "x@else.example"}),
        ("autoresponder", {"box": "eve@theirs.example", "body": "x"}),
        ("ftp_account", {"address": "up@theirs.example"}),
        ("website", {"name": "theirs.example"}),
        ("redirect", {"host": "theirs.example", "path": "/x", "to": "/y"}),
        ("zone", {"name": "theirs.example."}),
        ("domain", {"name": "theirs.example", "type": "Sub-server", "mail": "y"}),
    ],
)
def test_nothing_is_written_to_servers_of_others(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch, kind: str, payload: dict[str, Any]
) -> None:
    made(panel, "create-domain", domain="theirs.example", **{"pass": "x"}, dir="", mail="", web="")
    made(panel, "create-user", domain="theirs.example", user="eve", **{"pass": "x"})
    before = json.dumps(panel.store)
    with pytest.raises(RefusedError):
        opened_at(panel, monkeypatch).write([unit(kind, payload)])
    assert json.dumps(panel.store) == before


def test_a_login_whose_answer_was_cut_is_looked_up(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = unit("mailbox", {"address": "ann@home.example", "suspended": False})
    panel.fault("garbled", at=1, matching="^POST ")
    with pytest.raises(UnknownOutcomeError):
        opened_at(panel, monkeypatch).write([ann])
    [found] = opened_at(panel, monkeypatch).find([ann], set())
    assert found is not None
    assert found.id == "ann@home.example"


def test_success_that_did_nothing_is_a_refusal(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = opened_at(panel, monkeypatch)
    opened.write([unit("zone", {"name": "home.example."})])
    assert {id.split()[1] for id in panel.store["record_sets"]} == {"SOA", "NS"}, "what the template put in is out"
    body = {"zone": "home.example.", "name": "www.else.example.", "type": "A", "ttl": 60, "values": ["192.0.2.1"]}
    with pytest.raises(RefusedError, match="not as it was asked for"):
        opened.write([unit("record_set", body)])


def test_the_calls_of_a_plugin_that_others_wrote_do_what_they_are_for(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(panel, "enable-feature", domain="home.example", dns="")
    module, name = connector("virtualmin.sandbox"), "_acme-challenge.home.example."
    with mount(panel) as session:  # virtualmin-dns-authenticator 1.0.0, for certbot
        for verb, there in (("add-record", True), ("remove-record", False)):
            params = {"program": "modify-dns", "domain": "home.example", verb: f"{name} TXT Kx_9-z"}
            said = session.get(
                f"{panel.base_url}/virtual-server/remote.cgi", params=params, auth=("root", module.TOKEN)
            )
            assert said.text.endswith("Exit status: 0\n")
            held = [one.values for one in opened_at(panel, monkeypatch).held("home.example.") if one.name == name]
            assert held == ([('"Kx_9-z"',)] if there else [])


def test_a_zone_that_lies_in_another_one_is_refused(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    made(panel, "enable-feature", domain="home.example", dns="")
    made(panel, "create-domain", domain="sub.home.example", parent="home.example", dir="")
    panel.state["dns_within"] = True
    before = dict(panel.store["record_sets"])
    with pytest.raises(RefusedError, match="above it"):
        opened_at(panel, monkeypatch).write([unit("zone", {"name": "sub.home.example."})])
    assert panel.store["record_sets"] == before
    assert "dns" not in panel.store["domains"]["sub.home.example"]["features"]


def test_a_site_whose_php_is_refused_is_not_left_half(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = opened_at(panel, monkeypatch)
    with pytest.raises(RefusedError, match="Only the following PHP"):
        opened.write([unit("website", {"name": "home.example", "php_version": "5.2"})])
    assert "web" not in panel.store["domains"]["home.example"]["features"]


def test_a_site_has_the_features_that_the_option_names(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, features = (
        opened_at(panel, monkeypatch, {"web": "web ssl"}),
        panel.store["domains"]["home.example"]["features"],
    )
    opened.write([unit("website", {"name": "home.example", "php_version": "8.3"})])
    assert {"web", "ssl"} <= set(features)
    assert panel.store["domains"]["home.example"]["php"] == "8.3"
    opened.write([unit("website", {}, action="delete", there="site:home.example")])
    assert not {"web", "ssl"} & set(features)


def test_a_forward_of_a_mailbox_is_the_mailboxs_own(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, box = opened_at(panel, monkeypatch), "ann@home.example"
    told = {"address": box, "destinations": ["x@else.example", "y@else.example"], "keep_copy": False}
    with pytest.raises(RefusedError, match="no mailbox"):
        opened.write([unit("alias", {**told, "keep_copy": True})])
    opened.write([unit("mailbox", {"address": box, "suspended": False})])
    opened.write([unit("alias", told)])
    ann = panel.store["users"][box]
    assert (ann["forward"], ann["tome"], panel.store["aliases"]) == (told["destinations"], False, {})
    opened.write([unit("alias", {"destinations": ["x@else.example"], "keep_copy": True}, action="update", there=box)])
    assert (ann["forward"], ann["tome"]) == (["x@else.example"], True)
    opened.write([unit("alias", {}, action="delete", there=box)])
    assert (ann["forward"], ann["tome"]) == ([], True)


def test_an_alias_that_was_taken_out_to_be_changed_is_put_in_again(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(panel, "create-alias", domain="home.example", **{"from": "info"}, to="x@else.example")
    changed = unit("alias", {"destinations": ["y@else.example"]}, action="update", there="info@home.example")
    panel.fault("reset", at=2, matching="^POST ")
    with pytest.raises(UnknownOutcomeError):
        opened_at(panel, monkeypatch).write([changed])
    assert not panel.store["aliases"]
    [found] = opened_at(panel, monkeypatch).find([changed], set())
    assert found is not None
    assert panel.store["aliases"]["info@home.example"]["to"] == ["y@else.example"]


def test_a_database_has_the_name_it_was_given_there(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    panel.state["database_prefix"] = "home_"
    [written] = opened_at(panel, monkeypatch).write([unit("database", {"name": "shop", "engine": "mysql"})])
    assert written.id == "mysql/home_shop"


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        ("domain", {"name": "a.example"}, "of which"),
        ("domain", {"name": "a.example", "of": "b.example"}, None),
        ("domain", {"name": "a.example", "type": "Sub-server"}, None),
        ("autoresponder", {"body": "From: me", "box": "a@b.example"}, "setting"),
        ("autoresponder", {"body": "x", "start": "2026-07-01T12:00:00Z"}, "whole days"),
        ("autoresponder", {"body": "x", "end": "2026-07-01T00:00:00Z"}, None),
    ],
)
def test_a_plan_is_told_what_virtualmin_would_do_otherwise(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch, kind: str, payload: dict[str, Any], said: str | None
) -> None:
    complaint = opened_at(panel, monkeypatch).complaint(kind, payload)
    assert (said or "") in (complaint or "")
    assert (said is None) == (complaint is None)
