"""Connectors, kinds and mappings: found, parsed, joined. A third party's connector is found by its entry point."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from migrator import documents
from migrator.delivery import Deliverer
from migrator.documents import did_you_mean
from migrator.errors import InputError
from migrator.kinds import Field, Kinds
from migrator.manifest import Keep, Manifest
from migrator.mapping import Mapping, check, secret_paths
from migrator.rules.dialect import ENTRY_POINTS, dialects
from migrator.rules.dialect import find as dialect

__all__ = ["Connector", "connector", "dialect", "dialects", "kinds", "mappings_folder", "sealing", "vendors"]


@dataclass(frozen=True)
class Connector:
    """A vendor's folder, read: how to talk to it, what things mean, its odd functions."""

    vendor: str
    package: str
    folder: Path
    manifest: Manifest
    mapping: Mapping
    kinds: Kinds

    def through(self, channels: Sequence[str], *, file: str = "", line: int | None = None) -> Connector:
        """Return the connector with what the named channels keep and need. Raises InputError for an unknown one."""
        for channel in channels:
            if channel not in self.manifest.channels:
                what = f"{self.vendor} has no channel '{channel}'{did_you_mean(channel, self.manifest.channels)}"
                remedy = f"it has {', '.join(self.manifest.channels) or 'its API only'}"
                raise InputError(what, file=file, line=line, remedy=remedy)
        return replace(self, manifest=self.manifest.through(channels))

    @property
    def hooks(self) -> ModuleType | None:
        """Return ``hooks.py``, where there is one."""
        return self._module("hooks")

    @property
    def connection(self) -> type[Deliverer]:
        """Return the class that opens an account: ``Connection`` of ``connection.py``, or the player of manifests."""
        found = self._module("connection")
        return found.Connection if found else Deliverer

    @property
    def sandbox(self) -> Any:
        """Return the sandbox module: ``create``, ``seed``. Raises InputError where the vendor has none."""
        found = self._module("sandbox")
        if found is None:
            raise InputError(f"{self.vendor} has no sandbox", remedy="a real server or account is its judge")
        return found

    def part(self, name: str) -> Any:
        """Return another module of the folder, such as ``demo``. Raises InputError where there is none."""
        found = self._module(name)
        if found is None:
            raise InputError(f"{self.vendor} has no {name}")
        return found

    def _module(self, name: str) -> ModuleType | None:
        full = f"{self.package}.{name}"
        return importlib.import_module(full) if importlib.util.find_spec(full) else None


def mappings_folder() -> Path:
    """Return where the mapping files lie: inside the package (a wheel) or beside it (a checkout)."""
    inside = Path(__file__).parent / "mappings"
    return inside if inside.is_dir() else Path(__file__).resolve().parents[1] / "mappings"


def _found() -> Iterator[tuple[str, str, Path]]:
    """Yield (vendor, package, folder) of every connector."""
    package = importlib.import_module("migrator.connectors")
    for module in pkgutil.iter_modules(package.__path__):
        folder = Path(module.module_finder.path) / module.name  # type: ignore[union-attr]
        if (folder / "connector.yaml").is_file():
            yield module.name, f"migrator.connectors.{module.name}", folder
    for point in entry_points(group=ENTRY_POINTS):
        spec = importlib.util.find_spec(point.value)
        if spec and spec.submodule_search_locations:
            yield point.name, point.value, Path(next(iter(spec.submodule_search_locations)))


@cache
def vendors() -> dict[str, tuple[str, Path]]:
    """Return every vendor's package and folder, by name."""
    return {vendor: (package, folder) for vendor, package, folder in sorted(_found())}


@cache
def kinds(canonical: str) -> Kinds:
    """Return a canonical file's kinds."""
    return documents.read(mappings_folder() / "canonical" / f"{canonical}.yaml", Kinds)


@cache
def connector(vendor: str) -> Connector:
    """Return a vendor's connector. Raises InputError for an unknown vendor or a faulty file."""
    if vendor not in vendors():
        raise InputError(
            f"no connector for '{vendor}'{did_you_mean(vendor, vendors())}", remedy="see `migrator connectors`"
        )
    package, folder = vendors()[vendor]
    manifest = documents.read(folder / "connector.yaml", Manifest)
    own = folder / "mapping.yaml"
    file = own if own.is_file() else mappings_folder() / "vendors" / f"{vendor}.yaml"
    mapping = documents.read(file, Mapping)
    known = kinds(mapping.canonical)
    check(mapping, known, str(file))
    _agree(manifest, mapping, known, str(folder / "connector.yaml"))
    return Connector(vendor, package, folder, sealing(manifest, mapping, known), mapping, known)


def sealing(manifest: Manifest, mapping: Mapping, known: Kinds) -> Manifest:
    """Return the manifest whose streams name every path that a secret field is read from, to be sealed.

    Raises InputError where a stream keeps fingerprints of secrets that are to be written.
    """
    paths = {stream: dict.fromkeys(spec.sealed) for stream, spec in manifest.streams.items()}
    for kind, variants in mapping.kinds.items():
        for variant in variants:
            paths[variant.stream].update(dict.fromkeys(secret_paths(known.kinds[kind], variant)))
    for stream, spec in manifest.streams.items():
        if spec.into:  # its records are staged as that stream's
            paths[stream].update(paths[spec.into])
        if spec.secrets and paths[stream]:
            raise InputError(
                f"{manifest.vendor}: of what the stream '{stream}' names under 'secrets' a fingerprint is kept, and "
                f"'{next(iter(paths[stream]))}' is to be written",
                remedy="name the others under 'sealed' too",
            )
    streams = {
        stream: spec.model_copy(update={"sealed": tuple(paths[stream])}) for stream, spec in manifest.streams.items()
    }
    return manifest.model_copy(update={"streams": streams})


def _agree(manifest: Manifest, mapping: Mapping, known: Kinds, file: str) -> None:
    """Raise InputError where manifest and mapping speak of different things."""
    for stream in mapping.streams():
        if stream not in manifest.streams:
            raise InputError(
                f"the mapping reads the stream '{stream}'{did_you_mean(stream, manifest.streams)}", file=file
            )
    channelled = [write for channel in manifest.channels.values() for write in channel.writes]
    for write in (*manifest.writes, *channelled):
        if write.kind not in known.kinds:
            raise InputError(f"'{write.kind}' is not a kind{did_you_mean(write.kind, known.kinds)}", file=file)
        fields = known.kinds[write.kind].fields
        for field in write.fields:
            if field not in fields:
                raise InputError(f"'{write.kind}' has no field '{field}'{did_you_mean(field, fields)}", file=file)
            _secret(write.kind, field, fields[field], write.fields[field], file)
        names = {variant.name for variant in mapping.kinds.get(write.kind, ())}
        if write.variant and write.variant not in names:
            raise InputError(
                f"{write.kind} has no variant '{write.variant}'{did_you_mean(write.variant, names)}", file=file
            )


def _secret(kind: str, label: str, spec: Field, keep: Keep, file: str) -> None:
    """Raise InputError where a secret, which is sealed when plans are made, is to be looked into or changed."""
    if keep.schemes and not spec.secret:
        raise InputError(f"{kind} {label}: only a secret has 'schemes'", file=file, remedy="say 'matches'")
    if spec.secret and spec.type != "blob" and keep.looks_inside:
        raise InputError(
            f"{kind} {label} is a secret, sealed when a plan is made: nothing can be told by '{keep.looks_inside[0]}'",
            file=file,
            remedy="say by 'schemes' which are taken",
        )
