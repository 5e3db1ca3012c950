"""``migration.yaml`` opened: both sides found, and their accounts. A secret's value leaves it only inside a client."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from migrator import documents, registry
from migrator.credentials import secret
from migrator.delivery import Deliverer
from migrator.documents import did_you_mean
from migrator.errors import InputError
from migrator.http import Bearer, Client
from migrator.live import Live
from migrator.mapping import Mapping, overlay
from migrator.migration import Account, Migration
from migrator.pacer import Limit, Pacer
from migrator.parts import Composite, Part, routes, whole_manifest, whole_mapping
from migrator.registry import Connector
from migrator.select import Selection
from migrator.workspace import Workspace


@dataclass(frozen=True)
class Side:
    """One side, ready: the connector with the customer's overlay, and the account. ``parts``: what it is made of.

    ``to``: each kind's part.
    """

    connector: Connector
    mapping: Mapping
    account: Account
    file: str
    parts: dict[str, Side] = field(default_factory=dict)
    to: dict[str, str] = field(default_factory=dict)

    def open(
        self,
        *,
        session: requests.Session | None = None,
        sleep: Callable[[float], None] | None = None,
        monotonic: Callable[[], float] | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> Deliverer:
        """Return the account, ready to be read or written. Raises AccessError where a secret is missing."""
        manifest, account = self.connector.manifest, self.account
        if self.parts:
            opened = {
                name: part.open(session=session, sleep=sleep, monotonic=monotonic, now=now)
                for name, part in self.parts.items()
            }
            first = next(iter(opened.values())).client
            nobody = Client("", None, Pacer([]), first.session, first.sleep, now=first.now)
            nobody.pacer.sleep, nobody.pacer.monotonic = first.pacer.sleep, first.pacer.monotonic
            return Composite(manifest, self.mapping, nobody, parts=opened, to=self.to)
        pacer = self._pacer()
        client = Client(self.base_url(), self._auth(), pacer)
        if session is not None:
            client.session = session
        client.session.headers.update(manifest.headers)
        if sleep is not None:
            client.sleep = pacer.sleep = sleep
        if monotonic is not None:
            pacer.monotonic = monotonic
        if now is not None:
            client.now = now
        return self.connector.connection(
            manifest,
            self.mapping,
            client,
            self.connector.hooks,
            workers=account.workers,
            options=account.options,
            channels=account.channels,
            given=self.given,
        )

    def _pacer(self) -> Pacer:
        """Return what keeps the account within its quota. Raises InputError where the vendor has no such plan."""
        quota, account = self.connector.manifest.quota, self.account
        plan = account.plan or quota.default_plan
        limits = []
        for rule in quota.rules:
            if plan not in rule.per_minute:
                raise InputError(
                    f"{account.vendor} has no plan '{plan}'{did_you_mean(plan, rule.per_minute)}", file=self.file
                )
            # What is granted is the account's.
            granted = (None if rule.matching else account.per_minute) or rule.per_minute[plan]
            ours = max(1, int(granted * account.share))
            limits.append(Limit(rule.name, ours, rule.matching, granted, rule.window, rule.costs))
        return Pacer(
            limits,
            quota.total,
            quota.remaining,
            quota.retry_after,
            account.share,
            quota.total_of == "endpoint",
            used_header=quota.used,
            reset_header=quota.reset,
        )

    def base_url(self) -> str:
        """Return the account's address. Raises InputError where a setting is missing."""
        if self.parts:
            return ", ".join(f"{name}: {part.base_url()}" for name, part in self.parts.items())
        if self.account.url:
            url = self.account.url.rstrip("/")
            path = self._fill(re.sub(r"^([a-z]+://[^/]+|\{\w+\})", "", self.connector.manifest.base_url).rstrip("/"))
            return url if url.endswith(path) else url + path
        return self._fill(self.connector.manifest.base_url)

    def given(self, name: str) -> str:
        """Return a setting or a secret of the account. Raises InputError, AccessError where it is missing."""
        if name in self.account.settings:
            return self.account.settings[name]
        if name in self.account.secrets:
            return secret(self.account.secrets[name], f"{self.account.vendor}'s {name}")
        manifest = self.connector.manifest
        if name in manifest.secrets:
            raise InputError(
                f"{self.account.vendor} needs the secret '{name}'",
                file=self.file,
                remedy=f"add `secrets: {{{name}: env:SOME_VARIABLE}}` ({manifest.secrets[name]})",
            )
        raise InputError(
            f"{self.account.vendor} needs the setting '{name}'",
            file=self.file,
            remedy=f"add `settings: {{{name}: …}}` ({manifest.settings.get(name, '')})",
        )

    def _fill(self, template: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: self.given(found[1]), template)

    def _auth(self) -> AuthBase | None:
        auth = self.connector.manifest.auth
        wanted = re.findall(r"\{(\w+)\}", auth.bearer or "")
        if auth.basic and not (auth.bearer and all(name in self.account.secrets for name in wanted)):
            return HTTPBasicAuth(*(self._fill(part).encode() for part in auth.basic))
        if not auth.bearer:
            return None
        token = self._fill(auth.bearer)
        return Bearer(token, "", auth.header) if auth.header else Bearer(token, auth.scheme)


@dataclass(frozen=True)
class Project:
    """A workspace with its migration.yaml read and both sides found."""

    workspace: Workspace
    migration: Migration
    source: Side
    destination: Side
    selection: Selection


def open_project(folder: Path) -> Project:
    """Read a workspace. Raises InputError naming file, line and remedy."""
    workspace = Workspace(folder)
    loaded = documents.tree(workspace.file)
    migration = documents.parse(loaded, Migration, str(workspace.file))
    workspace = Workspace(folder, migration.key)
    for where_it_is, account in _accounts(migration):
        for name, where in account.secrets.items():
            if not re.match(r"(env|keyring):.", where):
                raise InputError(
                    f"{account.vendor}: the secret '{name}' is not a name",
                    file=str(workspace.file),
                    line=documents.line_of(loaded, (*where_it_is, "secrets", name)),
                    remedy="write env:VARIABLE or keyring:SERVICE/USER; never the secret itself",
                )
        _known(account, str(workspace.file), _below(loaded, *where_it_is))
    vendors = [account.vendor for _, account in _accounts(migration)]
    for vendor in migration.overlay:
        if vendor not in vendors:
            raise InputError(
                f"the overlay names the vendor '{vendor}'{did_you_mean(vendor, vendors)}",
                file=str(workspace.file),
                line=documents.line_of(loaded, ("overlay", vendor)),
            )
    source, destination = (
        side(account, migration, str(workspace.file), _below(loaded, "overlay"), writing=writing)
        for account, writing in ((migration.source, False), (migration.destination, True))
    )
    if source.mapping.canonical != destination.mapping.canonical:
        raise InputError(
            f"{migration.source.vendor} holds {source.mapping.canonical} records, {migration.destination.vendor} "
            f"{destination.mapping.canonical} records",
            file=str(workspace.file),
            remedy="choose two vendors of one trade",
        )
    selection = Selection(
        migration.select, source.connector.kinds, source.mapping, str(workspace.file), _below(loaded, "select")
    )
    selection.check()
    Live(source.connector.kinds, migration.cutover).check(str(workspace.file))
    return Project(workspace, migration, source, destination, selection)


def _accounts(migration: Migration) -> Iterator[tuple[tuple[str, ...], Account]]:
    """Yield every account that is opened, and where it stands in the document."""
    for which, account in (("source", migration.source), ("destination", migration.destination)):
        if not account.parts:
            yield (which,), account
        for name, part in account.parts.items():
            yield (which, "parts", name), part


def _below(loaded: Any, *keys: str) -> Callable[[Iterable[Any]], int | None]:
    """Return what finds the line of a place below these keys."""
    return lambda where: documents.line_of(loaded, (*keys, *where))


def _known(account: Account, file: str, line: Callable[[tuple[str, ...]], int | None]) -> None:
    """Raise InputError where an account names a vendor, plan, setting or secret that does not exist."""
    if account.vendor not in registry.vendors():
        what = f"no connector for '{account.vendor}'{did_you_mean(account.vendor, registry.vendors())}"
        raise InputError(what, file=file, line=line(("vendor",)), remedy="see `migrator connectors`")
    manifest = registry.connector(account.vendor).manifest
    plans = manifest.quota.rules[0].per_minute if manifest.quota.rules else {}
    if account.plan and plans and account.plan not in plans:
        what = f"{account.vendor} has no plan '{account.plan}'{did_you_mean(account.plan, plans)}"
        raise InputError(what, file=file, line=line(("plan",)), remedy=f"it has {', '.join(plans)}")
    chosen = registry.connector(account.vendor).through(account.channels, file=file, line=line(("channels",)))
    manifest = chosen.manifest
    for part, held, known in (
        ("settings", account.settings, manifest.settings),
        ("secrets", account.secrets, manifest.secrets),
    ):
        for name in held:
            if name not in known:
                what = f"{account.vendor} has no {part.removesuffix('s')} '{name}'{did_you_mean(name, known)}"
                raise InputError(
                    what, file=file, line=line((part, name)), remedy=f"it has {', '.join(known) or 'none'}"
                )


def side(
    account: Account,
    migration: Migration | None,
    file: str,
    line: Callable[[Iterable[Any]], int | None] = lambda where: None,
    *,
    writing: bool = True,
) -> Side:
    """Return one side with the customer's overlay applied; ``line`` finds the line of a place in the overlay.

    Raises InputError where parts do not fit together.
    """
    if account.parts:
        return _joined(account, migration, file, line, writing=writing)
    connector = _within_reach(registry.connector(account.vendor).through(account.channels), account)
    mapping = connector.mapping
    changes = (migration.overlay if migration else {}).get(account.vendor, {})
    if changes:
        mapping = overlay(mapping, changes, file, lambda where: line((account.vendor, *where)))
        manifest = registry.sealing(connector.manifest, mapping, connector.kinds)
        connector = replace(connector, manifest=manifest)
    if migration and not migration.policies.preface:
        mapping = _without_preface(mapping)
    return Side(connector, mapping, account, file)


def _joined(
    account: Account,
    migration: Migration | None,
    file: str,
    line: Callable[[Iterable[Any]], int | None],
    *,
    writing: bool,
) -> Side:
    """Return the side that several accounts make up together."""
    sides = {name: side(part, migration, file, line) for name, part in account.parts.items()}
    first = next(iter(sides.values())).connector
    parts = []
    for name, one in sides.items():
        if one.mapping.canonical != first.mapping.canonical:
            raise InputError(
                f"the part '{name}' holds {one.mapping.canonical} records, others {first.mapping.canonical} records",
                file=file,
                remedy="choose parts of one trade",
            )
        for kind in one.account.kinds:
            if kind not in one.mapping.kinds:
                raise InputError(
                    f"the part '{name}' ({one.account.vendor}) has no '{kind}'{did_you_mean(kind, one.mapping.kinds)}",
                    file=file,
                    remedy=f"it has {', '.join(one.mapping.kinds)}",
                )
        plan = one.account.plan or one.connector.manifest.quota.default_plan
        manifest, granted = one.connector.manifest, one.account.per_minute
        parts.append(Part(name, manifest, one.mapping, plan, granted, one.account.kinds))
    to = routes(parts, writing=writing)
    manifest, mapping = whole_manifest(parts, to), whole_mapping(parts, to)
    workers = max(part.workers for part in account.parts.values())
    whole = account.model_copy(update={"workers": workers})
    connector = replace(first, vendor=whole.vendor, package="migrator.connectors", manifest=manifest, mapping=mapping)
    return Side(connector, mapping, whole, file, sides, to)


def _within_reach(connector: Connector, account: Account) -> Connector:
    """Return the connector with what the account's secrets do not allow left to a person."""
    writes = tuple(
        write.model_copy(
            update={"manual": f"needs the secret {write.needs}: {connector.manifest.secrets[write.needs]}"}
        )
        if write.needs and write.needs not in account.secrets
        else write
        for write in connector.manifest.writes
    )
    return replace(connector, manifest=connector.manifest.model_copy(update={"writes": writes}))


def _without_preface(mapping: Mapping) -> Mapping:
    kinds = {
        kind: tuple(
            variant.model_copy(
                update={"fields": {k: verb.model_copy(update={"preface": None}) for k, verb in variant.fields.items()}}
            )
            for variant in variants
        )
        for kind, variants in mapping.kinds.items()
    }
    return mapping.model_copy(update={"kinds": kinds})
