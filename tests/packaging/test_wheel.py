"""The package as its users get it: a wheel, an editable install and a bare checkout all find the same connectors."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from migrator import __version__

ROOT = Path(__file__).resolve().parents[2]
VENDORS = sorted(path.parent.name for path in ROOT.glob("connectors/*/connector.yaml"))

FIND = """
import importlib.util, json
from migrator import registry
found = {}
for vendor in registry.vendors():
    connector = registry.connector(vendor)
    box = f"{connector.package}.sandbox"
    found[vendor] = {
        "package": connector.package,
        "folder": str(connector.folder),
        "kinds": sorted(connector.mapping.kinds),
        "hooks": connector.hooks and connector.hooks.__name__,
        "sandbox": importlib.import_module(box).__name__ if importlib.util.find_spec(box) else None,
    }
print(json.dumps(found))
"""


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    """Run a command outside our own environment and return what it printed."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=clean | env, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Environment:
    """An environment with our dependencies, an empty folder to stand in, and where migrator comes from."""

    folder: Path
    empty: Path
    path: str = ""

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def site(self) -> Path:
        return next(self.folder.glob("lib/python3*/site-packages"))

    def found(self) -> dict[str, Any]:
        """Return what the registry finds, asked from the empty folder."""
        found: dict[str, Any] = json.loads(run(self.python, "-c", FIND, cwd=self.empty, PYTHONPATH=self.path))
        return found


def install(python: Path, *what: str | Path) -> None:
    """Install from uv's cache, else from the index, else with pip (which may know of a mirror)."""
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(python)]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    failures = []
    for command in ([*uv, "--offline"], uv, pip):
        done = subprocess.run([*command, *map(str, what)], cwd=ROOT, capture_output=True, text=True)
        if done.returncode == 0:
            return
        failures.append(done.stderr)
    raise AssertionError("\n".join(failures))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder, cwd=ROOT)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def dependencies(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment that holds what the wheel asks for and nothing of ours but the wheel."""
    made = Environment(tmp_path_factory.mktemp("environment") / "venv", tmp_path_factory.mktemp("empty"))
    run(sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, made.folder, cwd=made.empty)
    install(made.python, wheel)
    return made


@pytest.fixture(scope="module", params=["wheel", "editable install", "bare checkout"])
def environment(request: pytest.FixtureRequest, wheel: Path, dependencies: Environment) -> Environment:
    if request.param == "wheel":
        install(dependencies.python, "--no-deps", "--force-reinstall", wheel)
    if request.param == "editable install":
        install(dependencies.python, "--no-deps", "--force-reinstall", "--editable", ROOT)
    if request.param == "bare checkout":
        run(sys.executable, "-m", "uv", "pip", "uninstall", "--python", dependencies.python, "migrator", cwd=ROOT)
        return replace(dependencies, path=str(ROOT))
    return dependencies


@pytest.fixture
def rival(environment: Environment) -> Iterator[None]:
    """Put another project's top-level package beside ours, with a folder named as one of our vendors."""
    files = {
        environment.site / "connectors" / "__init__.py": "raise ImportError('the rival was imported')\n",
        environment.site / "connectors" / VENDORS[0] / "__init__.py": "",
        environment.site / "connectors" / VENDORS[0] / "connector.yaml": "rival: true\n",
        environment.site / "connectors" / "rival" / "__init__.py": "",
        environment.site / "connectors" / "rival" / "connector.yaml": "rival: true\n",
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    yield
    shutil.rmtree(environment.site / "connectors")


def test_the_wheel_holds_every_file_of_the_three_folders_and_nothing_else(wheel: Path) -> None:
    own = {
        path.relative_to(ROOT).as_posix()
        for top in ("migrator", "connectors", "mappings")
        for path in ROOT.joinpath(top).rglob("*")
        if path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in path.parts)
    }
    inside = {name if name.startswith("migrator/") else f"migrator/{name}" for name in own}
    with zipfile.ZipFile(wheel) as opened:
        held = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert held == inside


def test_the_wheel_carries_the_version_of_the_package(wheel: Path) -> None:
    assert wheel.name.startswith(f"migrator-{__version__}-")


def test_every_connector_and_its_mapping_is_found_from_an_empty_folder(environment: Environment) -> None:
    found = environment.found()
    assert sorted(found) == VENDORS
    for vendor, facts in found.items():
        assert facts["package"] == f"migrator.connectors.{vendor}"
        has = any((ROOT / "connectors" / vendor).glob("sandbox*"))  # where a true server is the judge there is none
        assert facts["sandbox"] == (f"migrator.connectors.{vendor}.sandbox" if has else None)
        assert facts["kinds"]


def test_a_rival_package_named_connectors_changes_nothing(environment: Environment, rival: None) -> None:
    found = environment.found()
    assert sorted(found) == VENDORS
    assert not [
        facts for facts in found.values() if Path(facts["folder"]).is_relative_to(environment.site / "connectors")
    ]


def test_the_command_answers_from_an_empty_folder(environment: Environment) -> None:
    command = ("-c", "import sys; from migrator.cli import main; sys.argv = ['migrator', '--help']; main()")
    assert "demo" in run(environment.python, *command, cwd=environment.empty, PYTHONPATH=environment.path)
