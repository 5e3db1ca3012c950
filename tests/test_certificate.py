"""The acceptance certificate: true when made, and whatever is changed afterwards is noticed and named."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from migrator import certificate, evidence
from migrator.certificate import Checked, Made
from migrator.cli import app
from migrator.errors import AccessError, InputError
from migrator.export import export
from migrator.ledger import Identity, Ledger
from migrator.project import open_project
from migrator.rehearsal import rehearse
from migrator.signing import canonical_json
from migrator.signing import signer as signer_of
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Sandbox
from migrator.workspace import Workspace
from tests.support.desks import small_desk, steps, tiny_desk

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "certificate.md"
KEY = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"  # RFC 8032, test 1
PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


class Moved(NamedTuple):
    """A small help desk moved and verified, its certificate and what was read back."""

    run: Steps
    made: Made
    export: Path


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    """Move a small help desk once; nobody changes it."""
    folder = tmp_path_factory.mktemp("certificate")
    with pytest.MonkeyPatch.context() as patch:
        old, new = small_desk(tickets=6)
        run = steps(folder, old, new, patch)
        run.extract()
        assert run.load(run.plan().digest).finished
        assert run.verify()[0].proven
        made = certificate.make(run)
        exported = folder / "read-back.jsonl"
        export(run, exported)
        yield Moved(run, made, exported)


@pytest.fixture
def copy(moved: Moved, tmp_path: Path) -> Moved:
    """Return a copy of the workspace that a test may spoil."""
    folder = tmp_path / "copy"
    shutil.copytree(moved.made.file.parent, folder)
    run = Steps(open_project(folder))
    return Moved(run, replace(moved.made, file=folder / certificate.FILE), folder / moved.export.name)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Steps, Sandbox]:
    """Return a tiny account that is moved and verified, and the new account."""
    old, new = tiny_desk()
    run = steps(tmp_path / "tiny", old, new, monkeypatch)
    run.extract()
    run.load(run.plan().digest)
    run.verify()
    return run, new


def told(checked: Checked) -> str:
    """Return all faults as text."""
    return "\n".join(str(fault) for fault in checked.faults)


def spoil(run: Steps, sql: str) -> None:
    """Change the stage behind everybody's back."""
    with Stage(run.workspace.stage) as stage:
        stage.run(sql)


def again(moved: Moved, **changes: Any) -> Path:
    """Write the certificate with changes, signed by another key."""
    signer, _ = signer_of(None, moved.made.file.with_name("certificate.key"))
    document = {**moved.made.certificate, **changes}
    document.pop("signature")
    document["signature"] = signer.sign(canonical_json(document)).hex()
    moved.made.file.write_bytes(canonical_json(document) + b"\n")
    return moved.made.file


# ---- what is true ---------------------------------------------------------------------------------------------------


def test_a_certificate_is_true_of_its_workspace_and_of_its_export(moved: Moved) -> None:
    checked = certificate.check(moved.made.file, steps=moved.run, export_file=moved.export)
    assert told(checked) == ""
    assert len(checked.against) == 2
    assert moved.made.proven


def test_its_figures_are_those_of_the_verification(moved: Moved) -> None:
    document = moved.made.certificate
    verified = json.loads((moved.made.file.parent / "verify.json").read_text(encoding="utf-8"))
    assert {key: verified[key] for key in document["verification"]} == document["verification"]
    assert sum(line["compared"] for line in document["counts"].values()) == verified["records"]
    assert sum(line["equal"] for line in document["counts"].values()) == verified["equal"]
    for line in document["counts"].values():
        assert line["source"] == sum(line[word] for word in evidence.DISPOSITIONS)
    plan = moved.run.saved_plan()
    assert document["plan"]["digest"] == plan["digest"]
    assert [(x["kind"], x["how"], x["count"]) for x in document["losses"]] == [
        (x["kind"], x["how"], x["count"]) for x in plan["losses"]
    ]


def test_making_and_checking_leave_the_stage_as_it_was(copy: Moved) -> None:
    def held() -> list[Any]:
        with Stage(copy.run.workspace.stage) as stage:
            stage.run("CREATE TABLE IF NOT EXISTS verify.mine (a INTEGER)")
            return [stage.rows("SELECT * FROM verify.identity ORDER BY ALL"), stage.tables_of("verify")]

    before = held()
    certificate.make(copy.run)
    assert told(certificate.check(copy.made.file, steps=copy.run)) == ""
    assert held() == before


def test_no_secret_and_no_mail_address_stands_in_it(moved: Moved) -> None:
    text = moved.made.file.read_text(encoding="utf-8")
    assert "@" not in text
    for name in ("MIGRATOR_TEST", "Mara Linden", "PRIVATE"):
        assert name not in text
    with Stage(moved.run.workspace.stage) as stage:
        people = [row[0] for row in stage.rows("SELECT name FROM canonical.contact WHERE length(name) > 6")]
    assert people
    assert not [person for person in people if person in text]


def test_a_mail_address_in_an_id_or_a_title_becomes_its_digest() -> None:
    found = evidence.masked("custom: ask ada@firm.example")
    assert re.fullmatch(r"custom: ask sha256:[0-9a-f]{64}", found)


def test_an_export_is_the_same_bytes_each_time_zipped_or_not(moved: Moved, tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        export(moved.run, tmp_path / name)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()) == moved.export.read_bytes()
    assert told(certificate.check(moved.made.file, export_file=tmp_path / "a.jsonl.gz")) == ""


def test_each_line_of_an_export_is_canonical_json_and_holds_files_by_digest(moved: Moved) -> None:
    blobs = []
    for line in moved.export.read_bytes().split(b"\n")[:-1]:
        record = json.loads(line)
        assert canonical_json(record) == line
        assert sorted(record) == ["fields", "id", "kind"]
        blobs += [record["fields"]["blob"]] if record["kind"] == "attachment" else []
    assert blobs
    assert all((moved.run.workspace.blob(blob)).is_file() for blob in blobs)


def test_lines_may_lie_in_any_order_and_more_than_fit_into_memory(
    moved: Moved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migrator.export.HELD", 7)  # a bound, not a function of ours
    lines = [line + b"\n" for line in moved.export.read_bytes().split(b"\n")[:-1]]
    (tmp_path / "turned.jsonl").write_bytes(b"".join(reversed(lines)))
    assert len(lines) > 100
    assert told(certificate.check(moved.made.file, export_file=tmp_path / "turned.jsonl")) == ""


# ---- tampering ------------------------------------------------------------------------------------------------------


def refused(file: Path) -> str:
    """Return what a check says against a file, as no certificate or as one that was changed."""
    try:
        return told(certificate.check(file))
    except InputError as err:
        return str(err)


@given(data=st.data())
def test_no_byte_of_a_certificate_can_be_changed(moved: Moved, tmp_path_factory: Any, data: st.DataObject) -> None:
    content = bytearray(moved.made.file.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    file = tmp_path_factory.getbasetemp() / "flipped.json"
    file.write_bytes(bytes(content))
    assert refused(file)


@pytest.mark.parametrize("change", [lambda c: c + b"\n", lambda c: c[:-1], lambda c: b" " + c, lambda c: c * 2])
def test_no_byte_can_be_added_or_taken_away(moved: Moved, tmp_path: Path, change: Any) -> None:
    file = tmp_path / "changed.json"
    file.write_bytes(change(moved.made.file.read_bytes()))
    assert refused(file)


def test_a_changed_figure_is_named_though_it_was_signed_again(copy: Moved) -> None:
    counts = json.loads(json.dumps(copy.made.certificate["counts"]))
    counts["ticket"]["equal"] += 1
    checked = certificate.check(again(copy, counts=counts), steps=copy.run)
    assert told(checked) == "workspace: ticket: equal: the certificate says 7, the workspace 6"


def test_a_certificate_with_parts_missing_is_not_true(copy: Moved) -> None:
    for part in ("kinds", "counts", "verdict", "losses", "discrepancies"):
        file = again(copy, **{part: None})
        assert part in told(certificate.check(file, steps=copy.run))
    assert "names no kinds" in told(certificate.check(again(copy, kinds=[]), export_file=copy.export))


@pytest.mark.parametrize(
    ("sql", "kind", "what"),
    [
        ("UPDATE canonical.ticket SET subject = subject || '.' WHERE id = (SELECT min(id) FROM canonical.ticket)",
         "ticket", "source digest"),
        ("DELETE FROM canonical.message WHERE id = (SELECT min(id) FROM canonical.message)", "message",
         "source records"),
        ("UPDATE predicted.contact SET name = 'Eve' WHERE id = (SELECT min(id) FROM predicted.contact)", "contact",
         "predicted digest"),
        ("UPDATE back_canonical.message SET public = NOT public WHERE id = "
         "(SELECT min(id) FROM back_canonical.message)", "message", "read back digest"),
        ("INSERT INTO back_canonical.ticket SELECT * REPLACE ('new' AS id) FROM back_canonical.ticket LIMIT 1",
         "ticket", "read back records"),
        ("UPDATE back_canonical.attachment SET blob = repeat('0', 64)", "attachment", "read back digest"),
        ("UPDATE canonical.attachment SET url = 'elsewhere'", "", "plan: records"),
        ("UPDATE plan.planned SET payload = '{}' WHERE kind = 'contact'", "", "plan: digest"),
        ("DROP TABLE back_canonical.ticket", "ticket", "there is no back_canonical.ticket"),
        ("UPDATE back_canonical.ticket SET custom = 'not JSON'", "ticket", "read back digest"),
    ],
)  # fmt: skip
def test_whatever_changes_in_the_workspace_is_named(copy: Moved, sql: str, kind: str, what: str) -> None:
    spoil(copy.run, sql)
    faults = certificate.check(copy.made.file, steps=copy.run).faults
    named = f"{kind}: {what}" if kind else what
    assert [fault for fault in faults if named.replace("plan: ", "plan ") in str(fault).replace("plan: ", "plan ")]


def test_another_name_in_the_ledger_is_noticed(copy: Moved) -> None:
    with Ledger(copy.run.workspace.ledger) as ledger:
        ledger.know([Identity("ticket", "999", "999", None, "kept")])
    assert "ledger digest" in told(certificate.check(copy.made.file, steps=copy.run))


def test_another_mapping_is_named(copy: Moved) -> None:
    file = copy.run.workspace.file
    overlay = {"freshdesk": {"ticket": {"priority": {"write": {"urgent": 3}}}}}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"overlay": overlay}), encoding="utf-8")
    found = told(certificate.check(copy.made.file, steps=Steps(open_project(file.parent))))
    assert "destination mapping" in found


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda lines: lines[:-1], "read back records: the certificate says 2, the export holds 1"),
        (lambda lines: [*lines, lines[-1]], "read back records: the certificate says 2, the export holds 3"),
        (lambda lines: [*lines[:-1], lines[-1].replace(b'"size":', b'"size":1')], "at least one record is another"),
        (lambda lines: [*lines[:-1], lines[-1].replace(b"attachment", b"attachmend")], "no record of a kind"),
        (lambda lines: [*lines[:-1], lines[-1][:-1]], "no record of a kind"),
        (lambda lines: [*lines[:-1], lines[-1][:-1] + b"\r\n"], "no record of a kind"),
        (lambda lines: [*lines, b"\n"], "no record of a kind"),
        (lambda lines: [], "the export holds 0"),
    ],
)
def test_whatever_changes_in_an_export_is_named(moved: Moved, tmp_path: Path, change: Any, what: str) -> None:
    lines = [line + b"\n" for line in moved.export.read_bytes().split(b"\n")[:-1]]
    assert lines[-1].endswith(b'"kind":"attachment"}\n')
    file = tmp_path / "spoilt.jsonl"
    file.write_bytes(b"".join(change(lines)))
    faults = certificate.check(moved.made.file, export_file=file).faults
    assert [f for f in faults if what in f.what]
    assert any(fault.kind == "attachment" for fault in faults) or lines == change(lines)[:-1]


def test_a_broken_gzip_is_a_fault(moved: Moved, tmp_path: Path) -> None:
    file = tmp_path / "cut.jsonl.gz"
    export(moved.run, file)
    file.write_bytes(file.read_bytes()[:-20])
    assert "cannot be read to its end" in told(certificate.check(moved.made.file, export_file=file))


# ---- keys -----------------------------------------------------------------------------------------------------------


def test_another_public_key_is_refused(moved: Moved) -> None:
    key = moved.made.certificate["public_key"]
    assert told(certificate.check(moved.made.file, public_key=key.upper())) == ""
    assert "signed by another key" in told(certificate.check(moved.made.file, public_key=PUBLIC))
    with pytest.raises(InputError, match="64 hexadecimal"):
        certificate.check(moved.made.file, public_key="abc")


def test_a_key_is_made_once_and_only_its_owner_may_read_it(copy: Moved, moved: Moved) -> None:
    file = moved.made.file.parent / certificate.KEY
    assert moved.made.new_key == file
    assert file.stat().st_mode & 0o777 == 0o600
    second = certificate.make(copy.run)
    assert second.new_key is None
    assert second.certificate["public_key"] == moved.made.certificate["public_key"]


def test_a_key_comes_from_the_environment_or_a_file(
    copy: Moved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNS", KEY)
    assert certificate.make(copy.run, "env:SIGNS").certificate["public_key"] == PUBLIC
    pem = (copy.made.file.parent / certificate.KEY).read_text()
    monkeypatch.setenv("SIGNS", pem.splitlines()[1])
    (tmp_path / "mine.pem").write_text(pem)
    keys = {certificate.make(copy.run, key).certificate["public_key"] for key in ("env:SIGNS", f"{tmp_path}/mine.pem")}
    assert keys == {copy.made.certificate["public_key"]}


def test_a_key_that_is_none_is_refused_and_never_shown(
    copy: Moved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNS", "not-a-key-but-secret")
    with pytest.raises(InputError, match="openssl genpkey") as caught:
        certificate.make(copy.run, "env:SIGNS")
    assert "not-a-key" not in str(caught.value)
    with pytest.raises(InputError, match="cannot be read"):
        certificate.make(copy.run, str(tmp_path / "absent.pem"))
    with pytest.raises(AccessError, match="UNSET"):
        certificate.make(copy.run, "env:UNSET")


# ---- when it is refused, and when it says no ------------------------------------------------------------------------


def test_it_is_refused_where_nothing_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tiny_desk()
    run = steps(tmp_path, old, new, monkeypatch)
    with pytest.raises(InputError, match="migrator plan"):
        certificate.make(run)
    run.extract()
    run.plan(offline=True)
    with pytest.raises(InputError, match="not verified yet; run `migrator verify` first"):
        certificate.make(run)
    assert not (tmp_path / certificate.FILE).exists()
    assert not (tmp_path / certificate.KEY).exists()


def test_it_is_refused_where_the_verification_is_of_another_plan(copy: Moved) -> None:
    file = copy.made.file.parent / "verify.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"plan": "0" * 64}))
    with pytest.raises(InputError, match="of the plan 000000000000"):
        certificate.make(copy.run)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE canonical.ticket SET subject = 'x'", "not those that were planned"),
        ("UPDATE predicted.ticket SET subject = 'x'", "the plan, or a file it was made by, has changed"),
        ("UPDATE back_canonical.ticket SET subject = 'x'", "other figures"),
        ("DROP SCHEMA back_canonical CASCADE", "no back_canonical"),
    ],
)
def test_it_is_refused_where_the_records_changed_since(copy: Moved, sql: str, why: str) -> None:
    spoil(copy.run, sql)
    with pytest.raises(InputError, match=f"(?s)out of date: .*{why}.*migrator verify"):
        certificate.make(copy.run)


def test_it_is_refused_after_a_later_load(tiny: tuple[Steps, Sandbox]) -> None:
    run, _ = tiny
    run.load(run.saved_plan()["digest"])
    with pytest.raises(InputError, match="a load has run since"):
        certificate.make(run)
    run.verify()
    assert certificate.make(run).proven


def test_a_rehearsal_after_the_verification_changes_nothing(copy: Moved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATOR_SANDBOX_TOKEN", "")
    rehearse(copy.run)
    assert told(certificate.check(copy.made.file, steps=copy.run)) == ""


def test_a_migration_that_is_not_proven_says_so(tiny: tuple[Steps, Sandbox]) -> None:
    run, new = tiny
    ticket = next(iter(new.store["tickets"].values()))
    ticket["subject"] = "ada@firm.example changed it"
    new.store["contacts"].pop(next(iter(new.store["contacts"])))
    run.verify()
    made = certificate.make(run)
    assert not made.proven
    assert made.certificate["verdict"]["text"].startswith("not proven: ")
    assert {(d["kind"], d["field"]) for d in made.certificate["discrepancies"]} >= {("ticket", "subject")}
    text = made.file.read_text()
    assert "changed it" not in text
    assert "Question" not in text
    assert told(certificate.check(made.file, steps=run)) == ""


def test_a_plan_that_was_not_loaded_is_pending_and_not_proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tiny_desk()
    run = steps(tmp_path, old, new, monkeypatch)
    run.extract()
    run.plan()
    run.verify()
    made = certificate.make(run)
    assert not made.proven
    assert "planned records not written" in made.certificate["verdict"]["text"]
    assert sum(line["pending"] for line in made.certificate["counts"].values()) > 0
    assert sum(line["created"] for line in made.certificate["counts"].values()) == 0


def test_a_second_plan_names_the_first(tiny: tuple[Steps, Sandbox]) -> None:
    run, _ = tiny
    first = run.saved_plan()["digest"]
    run.load(run.plan().digest)
    run.verify()
    made = certificate.make(run)
    assert made.proven
    assert first in [made.certificate["plan"]["digest"], *made.certificate["earlier_plans"]]
    assert told(certificate.check(made.file, steps=run)) == ""


# ---- what others call -----------------------------------------------------------------------------------------------


def test_the_summary_says_whether_it_is_signed_current_and_proven(copy: Moved, tmp_path: Path) -> None:
    assert certificate.summary(Workspace(tmp_path)) is None
    found = certificate.summary(copy.run.workspace)
    assert found is not None
    assert (found["signed"], found["current"], found["proven"]) == (True, True, True)
    verify = copy.made.file.parent / "verify.json"
    verify.write_text(json.dumps(json.loads(verify.read_text()) | {"at": "later"}))
    assert (certificate.summary(copy.run.workspace) or {})["current"] is False
    copy.made.file.write_text(copy.made.file.read_text().replace('"proven":true', '"proven":false'))
    assert (certificate.summary(copy.run.workspace) or {})["signed"] is False
    copy.made.file.write_text("{")
    assert certificate.summary(copy.run.workspace) is None


def test_a_file_that_is_no_certificate_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    for content in (b"", b"[]", b"{}", b'{"format": "migrator certificate 2"}', b"\n\xff", b"[" * 9999):
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"other.json:\d+: no certificate"):
            certificate.check(file)
    file.write_text('{"format":\n "migrator certificate 1",,}')
    with pytest.raises(InputError, match=r"other.json:2: no certificate"):
        certificate.check(file)
    with pytest.raises(InputError, match="cannot be read"):
        certificate.check(tmp_path / "absent.json")


def test_the_commands_answer_with_their_exit_codes(
    copy: Moved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, file, export = str(copy.made.file.parent), str(copy.made.file), str(tmp_path / "out.jsonl.gz")

    def run(*words: str) -> tuple[int, str]:
        answer = CliRunner().invoke(app, ["certificate", *words])
        return answer.exit_code, answer.output

    code, text = run("make", "-w", folder)
    assert code == 0
    assert "proven: " in text
    code, text = run("export", "-w", folder, export)
    assert code == 0
    assert "read back" in text
    code, text = run("check", file, "-w", folder, "--export", export)
    assert (code, f"true of {folder} and of {export}" in text) == (0, True)
    assert "held against no records" in run("check", file)[1]
    assert json.loads(run("check", file, "--json", "-w", folder)[1])["ok"] is True
    assert run("check", file, "--public-key", PUBLIC)[0] == 1
    spoil(copy.run, "UPDATE back_canonical.ticket SET subject = 'x'")
    code, text = run("check", file, "-w", folder)
    assert (code, "NO  workspace: ticket: read back digest" in text) == (1, True)


def test_an_export_has_a_name_that_says_so(moved: Moved) -> None:
    with pytest.raises(InputError, match=r"\.jsonl"):
        export(moved.run, moved.made.file)


# ---- without this program -------------------------------------------------------------------------------------------


def examples(language: str) -> list[str]:
    """Return the page's examples in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("language", ["python", "sh"])
def test_the_pages_examples_prove_a_certificate_and_refuse_a_changed_one(copy: Moved, language: str) -> None:
    if language == "sh" and not all(shutil.which(tool) for tool in ("openssl", "xxd", "sed")):
        pytest.skip("needs openssl, xxd and sed")
    folder = copy.made.file.parent
    command = [sys.executable, "-c"] if language == "python" else ["sh", "-e", "-c"]
    found = examples(language)
    assert found
    for expected in (True, False):
        for example in found:
            answer = subprocess.run([*command, example], cwd=folder, capture_output=True, text=True, check=False)
            assert (answer.returncode == 0) is expected, answer.stdout + answer.stderr
        changed = copy.made.file.read_text().replace('"proven":true', '"proven":false')
        copy.made.file.write_text(changed)
        copy.export.write_bytes(copy.export.read_bytes().replace(b"ticket", b"tickets", 1))


def test_the_page_names_every_part_of_a_certificate(moved: Moved) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert not [part for part in moved.made.certificate if f"`{part}`" not in text]
