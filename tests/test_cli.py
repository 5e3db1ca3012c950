"""The command line as a person meets it: answers, errors that name the remedy, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from migrator import registry
from migrator.ledger import Ledger
from migrator.sandboxes import serving
from migrator.testing.sandbox import Clock, Sandbox
from tests.support.desks import small_desk

HEAVY = ("dlt", "duckdb", "sqlglot", "pyarrow", "requests", "pydantic", "numpy", "jinja2", "werkzeug", "msgspec")


def run(*words: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``migrator`` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "migrator.cli", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **environment, "COLUMNS": "200"},
        check=False,
        timeout=120,
    )


class Desk(NamedTuple):
    """Two served sandboxes and a workspace between them."""

    folder: Path
    old: Sandbox
    new: Sandbox
    environment: dict[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the workspace."""
        return run(*words, folder=self.folder, **self.environment)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Serve a small account and an empty one, with a migration.yaml between them."""
    folder = tmp_path_factory.mktemp("cli")
    zendesk, freshdesk = registry.connector("zendesk"), registry.connector("freshdesk")
    old = zendesk.sandbox.create(clock=Clock(real=True), limits=False)
    new = freshdesk.sandbox.create(clock=Clock(real=True), limits=False)
    with serving(old) as here, serving(new) as there:
        zendesk.part("demo").fill(old, tickets=6)
        written = {
            "name": "cli",
            "source": {
                "vendor": "zendesk",
                "url": here,
                "settings": {"user": zendesk.sandbox.EMAIL},
                "secrets": {"token": "env:OLD_TOKEN"},
            },
            "destination": {"vendor": "freshdesk", "url": there, "secrets": {"token": "env:NEW_TOKEN"}},
            "thresholds": {"manual": 1.0},
        }
        (folder / "migration.yaml").write_text(json.dumps(written), encoding="utf-8")
        yield Desk(folder, old, new, {"OLD_TOKEN": zendesk.sandbox.TOKEN, "NEW_TOKEN": freshdesk.sandbox.TOKEN})


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nsys.argv = ['migrator', '--help']\nfrom migrator.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert "Exit codes" in answer.stdout
    assert answer.stdout.strip().endswith("[]")


def test_init_writes_a_file_that_the_other_commands_read(tmp_path: Path) -> None:
    assert run("init", str(tmp_path / "new")).returncode == 0
    text = (tmp_path / "new" / "migration.yaml").read_text(encoding="utf-8")
    assert text.count("#") > 8
    answer = run("check", "-w", str(tmp_path / "new"))
    assert answer.returncode == 3
    assert "ZENDESK_TOKEN" in answer.stderr


def test_init_never_overwrites(tmp_path: Path) -> None:
    run("init", str(tmp_path))
    answer = run("init", str(tmp_path))
    assert answer.returncode == 2
    assert "exists already" in answer.stderr


def test_a_misspelt_key_is_named_with_file_line_and_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "migration.yaml").write_text(
        "name: x\nsource:\n  vendor: zendesk\n  polan: growth\ndestination:\n  vendor: freshdesk\n"
    )
    answer = run("plan", "-w", str(tmp_path))
    assert answer.returncode == 2
    assert "migration.yaml:4: 'polan' is not a key here; did you mean 'plan'?" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_an_unknown_vendor_is_named_with_a_suggestion() -> None:
    answer = run("compare", "zendesc", "freshdesk")
    assert answer.returncode == 2
    assert "did you mean 'zendesk'?" in answer.stderr


def test_a_secret_written_into_the_file_is_refused(tmp_path: Path) -> None:
    text = "name: x\nsource:\n  vendor: zendesk\n  secrets: {token: abc123secret}\ndestination: {vendor: freshdesk}\n"
    (tmp_path / "migration.yaml").write_text(text)
    answer = run("check", "-w", str(tmp_path))
    assert answer.returncode == 2
    assert "migration.yaml:4" in answer.stderr
    assert "env:VARIABLE" in answer.stderr
    assert "abc123secret" not in answer.stderr


def test_commands_out_of_order_say_which_comes_first(tmp_path: Path) -> None:
    run("init", str(tmp_path))
    for command, remedy in (
        (["plan"], "migrator extract"),
        (["load", "--plan", "0" * 12], "migrator plan"),
        (["report"], "migrator plan"),
    ):
        answer = run(*command, "-w", str(tmp_path))
        assert (answer.returncode, remedy in answer.stderr) == (2, True), answer.stderr


def test_connectors_and_compare_speak_to_machines() -> None:
    found = json.loads(run("connectors", "--json").stdout)
    assert {line["vendor"]: line["roles"] for line in found}["freshdesk"] == ["source", "destination"]
    compared = json.loads(run("compare", "zendesk", "freshdesk", "--json").stdout)
    verdicts = {(line["kind"], line["field"]): line["verdict"] for line in compared["lines"]}
    assert verdicts["ticket", "created_at"] == "changes"
    assert verdicts["ticket", "subject"] == "arrives"
    assert verdicts["ticket", "ccs"] == "lost"
    assert verdicts["ticket_form", ""] == "by hand"
    assert compared["unread"]


def test_the_commands_in_order_move_an_account(desk: Desk) -> None:
    def ok(*words: str) -> Any:
        answer = desk.run(*words, "--json")
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    assert all(finding["ok"] for side in ok("check").values() for finding in side)
    assert ok("extract")["rows"]["tickets"] == 6
    plan = ok("plan")
    assert desk.new.store["tickets"] == {}
    rehearsed = ok("rehearse")
    assert rehearsed["loaded"]["written"] == plan["units"]
    assert rehearsed["differences"] == []
    assert desk.new.store["tickets"] == {}
    refused = desk.run("load", "--plan", "f" * 12)
    assert refused.returncode == 4
    assert plan["digest"][:12] in refused.stderr
    assert desk.new.store["tickets"] == {}
    assert ok("load", "--plan", plan["digest"][:12])["written"] == plan["units"]
    assert ok("status")["done"] == plan["units"]
    assert ok("verify")["discrepancies"] == 0
    assert ok("report")["stage"] == "verified"
    assert (desk.folder / "report.html").stat().st_size > 10_000
    ticket = next(iter(desk.new.store["tickets"].values()))
    ticket["subject"] = "changed behind our back"
    found = desk.run("verify")
    assert found.returncode == 1
    assert "changed behind our back" in found.stdout


def test_a_changed_mapping_makes_another_plan_and_the_old_digest_is_refused(desk: Desk) -> None:
    before = json.loads(desk.run("plan", "--json").stdout)["digest"]
    file = desk.folder / "migration.yaml"
    kept = file.read_text(encoding="utf-8")
    changed = json.loads(kept) | {"overlay": {"freshdesk": {"ticket": {"priority": {"write": {"urgent": 3}}}}}}
    file.write_text(json.dumps(changed), encoding="utf-8")
    try:
        answer = desk.run("load", "--plan", before[:12])
        assert answer.returncode == 4
        after = json.loads(desk.run("plan", "--json").stdout)["digest"]
    finally:
        file.write_text(kept, encoding="utf-8")
    assert after != before


def test_wrong_credentials_end_with_their_own_code_and_no_secret(desk: Desk) -> None:
    answer = run("extract", folder=desk.folder, **{**desk.environment, "OLD_TOKEN": "wrong-token-value"})
    assert answer.returncode == 3
    assert "wrong-token-value" not in answer.stdout + answer.stderr


def test_a_second_run_beside_a_first_is_told_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from migrator.stage import Stage
    from tests.support.desks import steps

    old, new = small_desk(tickets=2)
    steps(tmp_path, old, new, monkeypatch)
    with Stage(tmp_path / "stage.duckdb"):
        answer = run("plan", "--offline", "-w", str(tmp_path))
    assert answer.returncode == 7
    assert "held by another run" in answer.stderr
    with Ledger(tmp_path / "ledger.sqlite"):
        assert run("status", "-w", str(tmp_path)).returncode == 0


def test_the_demo_moves_and_proves_a_help_desk_and_leaves_a_report(tmp_path: Path) -> None:
    answer = run("demo", "-w", str(tmp_path / "demo"), "--tickets", "12")
    assert answer.returncode == 0, answer.stderr
    assert "report.html" in answer.stdout
    data = json.loads((tmp_path / "demo" / "report.json").read_text(encoding="utf-8"))
    assert data["verification"]["count"] == 0
    assert data["quarantine"] == []
    assert all(line["ok"] for line in data["balance"])


def test_the_demo_never_clears_a_folder_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    answer = run("demo", "-w", str(tmp_path))
    assert answer.returncode == 2
    assert (tmp_path / "precious").read_text() == "mine"
