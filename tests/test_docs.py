"""The documents agree with the code: commands, options, keys, words and codes stand in them; their examples open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from migrator import documents, errors, registry
from migrator.cli import app
from migrator.documents import Document
from migrator.kinds import Field, Kind
from migrator.losses import HOWS
from migrator.manifest import Manifest
from migrator.mapping import Mapping
from migrator.migration import Account, Migration
from migrator.project import open_project

ROOT = Path(__file__).resolve().parents[1]
DOCS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
AUTHORS = ROOT / "docs" / "connector-authors.md"
MANUAL = ROOT / "docs" / "manual.md"
PICTURE_MAX_BYTES = 400_000  # what somebody who reads a page on a telephone will wait for


def read(path: Path) -> str:
    """Return a document's text."""
    return path.read_text(encoding="utf-8")


def words(path: Path) -> set[str]:
    """Return every word a document sets as code: between backticks, each word of it."""
    return {word for span in re.findall(r"`([^`\n]+)`", read(path)) for word in re.findall(r"\w+", span)}


def commands() -> dict[str, Any]:
    """Return the command line's commands."""
    found = typer.main.get_command(app)
    return dict(found.commands)  # type: ignore[attr-defined]


def models(of: Any, seen: set[Any] | None = None) -> set[type[Document]]:
    """Return every document model below ``of``."""
    seen = set() if seen is None else seen
    if of in seen:
        return set()
    seen.add(of)
    if isinstance(of, type) and issubclass(of, Document):
        below = (models(field.annotation, seen) for field in of.model_fields.values())
        return {of}.union(*below)
    return set().union(*(models(part, seen) for part in get_args(of)))


def keys(*of: type[Document]) -> list[tuple[str, str]]:
    """Return (model, key as written in YAML) of every field below."""
    found = {model for each in of for model in models(each)}
    return sorted(
        (model.__name__, field.alias or name) for model in found for name, field in model.model_fields.items()
    )


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_has_its_section_in_the_manual(command: str) -> None:
    assert re.search(rf"^### `migrator {command}\b", read(MANUAL), re.MULTILINE)


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_option_is_in_its_commands_section(command: str) -> None:
    text = read(MANUAL)
    section = re.split(r"^##", text.split(f"### `migrator {command}", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    for option in commands()[command].params:
        if option.param_type_name == "argument":
            assert option.name.upper() in section
            continue
        known = {*option.opts, *option.secondary_opts}
        if "--workspace" in known:  # explained once, above
            known = {"-w"}
            assert "`--workspace`" in text
        assert all(re.search(rf"(?<![\w-]){re.escape(one)}(?![\w-])", section) for one in known), known


def test_the_readme_shows_the_everyday_commands() -> None:
    shown = set(re.findall(r"migrator (\w+)", read(ROOT / "README.md")))
    assert set(commands()) - shown <= {"demo"}  # `make demo`


@pytest.mark.parametrize(("model", "key"), keys(Manifest))
def test_every_manifest_key_is_documented(model: str, key: str) -> None:
    assert key in words(AUTHORS), f"{model}.{key}"


@pytest.mark.parametrize(("model", "key"), keys(Mapping, Kind, Field))
def test_every_key_of_mappings_and_kinds_is_documented(model: str, key: str) -> None:
    assert key in words(AUTHORS), f"{model}.{key}"


@pytest.mark.parametrize(("model", "key"), keys(Migration))
def test_every_key_of_migration_yaml_is_documented(model: str, key: str) -> None:
    assert key in words(MANUAL), f"{model}.{key}"


def test_the_six_words_for_a_loss_are_explained() -> None:
    table = {line.split("|")[1].strip() for line in read(ROOT / "docs" / "concepts.md").splitlines() if line[:1] == "|"}
    assert set(HOWS) <= table


@pytest.mark.parametrize("path", [ROOT / "README.md", MANUAL], ids=lambda path: path.name)
def test_every_exit_code_is_explained(path: Path) -> None:
    codes = {0} | {e.exit_code for e in vars(errors).values() if isinstance(e, type) and hasattr(e, "exit_code")}
    explained = {int(code) for code in re.findall(r"^\| (\d+) \|", read(path), re.MULTILINE)}
    assert codes <= explained


def examples() -> Iterator[Any]:
    """Yield every example of a migration.yaml, named by file and line."""
    for path in DOCS:
        text = read(path)
        for found in re.finditer(r"^```yaml migration\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            line = text[: found.start()].count("\n") + 2
            yield pytest.param(found[1], id=f"{path.relative_to(ROOT)}:{line}")


@pytest.mark.parametrize("text", list(examples()))
def test_every_example_of_migration_yaml_opens(text: str, tmp_path: Path) -> None:
    (tmp_path / "migration.yaml").write_text(text, encoding="utf-8")
    project = open_project(tmp_path)
    for side in (project.source, project.destination):
        manifest, account = side.connector.manifest, side.account
        assert account.plan is None or account.plan in manifest.quota.rules[0].per_minute
        assert set(account.settings) <= set(manifest.settings)
        assert set(account.secrets) <= set(manifest.secrets)


def test_there_are_examples_to_open() -> None:
    assert len(list(examples())) >= 5


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", read(path), flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", read(path)):
        if re.match(r"\w+:", link):
            continue
        place, _, anchor = link.partition("#")
        there = (path.parent / place).resolve() if place else path
        assert there.exists(), link
        assert there.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(there), link


def test_the_makes_that_documents_name_are_in_the_makefile() -> None:
    targets = set(re.findall(r"^(\w[\w-]*):", read(ROOT / "Makefile"), re.MULTILINE))
    named = {target for path in DOCS for target in re.findall(r"(?:^    |`)make (\w[\w-]*)", read(path), re.MULTILINE)}
    assert {"demo", "test"} <= named <= targets


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_place_of_a_developers_machine_stands_in_a_document(path: Path) -> None:
    assert not re.search(r"(^|[\s(`\"'])/(work|home|root|tmp|Users)/", read(path), re.MULTILINE)


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "pictures").iterdir()), ids=lambda path: path.name)
def test_pictures_are_small_and_ask_nobody(path: Path) -> None:
    content = path.read_bytes()
    assert len(content) < PICTURE_MAX_BYTES
    assert not re.search(rb"(src|href)=.http|url\((?!#)", content) or path.suffix == ".png"


@pytest.mark.parametrize("vendor", sorted(registry.vendors()))
def test_each_vendor_has_a_page_that_names_its_settings_and_streams(vendor: str) -> None:
    page, manifest = read(ROOT / "docs" / "connectors" / f"{vendor}.md"), registry.connector(vendor).manifest
    assert all(f"`settings.{name}`" in page for name in manifest.settings)
    assert all(f"`secrets.{name}`" in page for name in manifest.secrets)
    assert all(plan in page for rule in manifest.quota.rules for plan in rule.per_minute)
    for write in manifest.writes:
        if write.create:
            assert re.sub(r"\{\w+\}", "{id}", write.create.path) in page, write.create.path


def test_each_decision_says_context_decision_consequences_and_evidence() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [path.name[:4] for path in decisions]
    assert len(set(numbers)) == len(numbers)  # a number that was set aside and not used leaves a gap
    for path in decisions:
        parts = re.findall(r"^\*\*(\w+)\.\*\*", read(path), re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequences", "Evidence"], path.name
        assert read(path).startswith(f"# {path.name[:4]} ")


def test_the_documented_defaults_of_an_account_are_the_models() -> None:
    text = read(MANUAL)
    rows = dict(re.findall(r"^\| `(share|workers)` \|.*\| (\S+) \|$", text, re.MULTILINE))
    assert {name: float(value) for name, value in rows.items()} == {
        name: float(Account.model_fields[name].default) for name in ("share", "workers")
    }


def test_an_example_with_a_misspelt_key_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "migration.yaml").write_text("name: a\nsauce: {}\n", encoding="utf-8")
    with pytest.raises(errors.InputError, match="did you mean 'source'"):
        documents.read(tmp_path / "migration.yaml", Migration)
