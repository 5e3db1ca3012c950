"""``migration.yaml``, its workspace, and secrets by name. A secret's value leaves this module only inside a client."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import requests
from pydantic import Field as Option
from pydantic import field_validator, model_validator
from requests.auth import AuthBase, HTTPBasicAuth

from migrator import documents, registry
from migrator.addresses import Change
from migrator.delivery import Deliverer
from migrator.documents import Document, Flag, did_you_mean
from migrator.errors import AccessError, InputError
from migrator.http import Bearer, Client
from migrator.live import Live
from migrator.mapping import Mapping, overlay
from migrator.narrowing import Narrow
from migrator.pacer import Limit, Pacer
from migrator.parts import Composite, Part, is_name, routes, whole_manifest, whole_mapping
from migrator.registry import Connector
from migrator.select import Select, Selection
from migrator.vault import Vault


class Account(Document):
    """One side of the migration. ``secrets`` name where each secret is kept: ``env:NAME`` or ``keyring:SERVICE/USER``.

    ``url`` replaces the vendor's address (a sandbox, a proxy). ``plan``: the vendor's plan, for its quota; ``share``:
    the part of the quota migrator may use; ``per_minute``: a quota the vendor granted. ``options``: the
    connector's own. ``channels``: ways to write beside the vendor's API, which its page describes.
    ``parts``: in place of a vendor, accounts by a name of yours that make up this side together; a kind belongs to the
    first part that has it, or to the one whose ``kinds`` name it.
    """

    vendor: str
    settings: dict[str, str] = {}
    secrets: dict[str, str] = {}
    url: str | None = None
    plan: str | None = None
    share: float = Option(default=1.0, gt=0, le=1)
    per_minute: int | None = Option(default=None, gt=0)
    workers: int = Option(default=4, ge=1, le=32)
    options: dict[str, str] = {}
    channels: tuple[str, ...] = ()
    parts: dict[str, Account] = {}
    kinds: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        """Name an account that is made of parts after their vendors."""
        if not isinstance(value, dict) or not value.get("parts"):
            return value
        if set(value) != {"parts"}:
            raise ValueError("an account made of parts has nothing beside them: what is said, is said of a part")
        parts = value["parts"]
        if not isinstance(parts, dict) or any(isinstance(one, dict) and one.get("parts") for one in parts.values()):
            raise ValueError("parts are accounts by name, and have no parts themselves")
        wrong = next((name for name in parts if not is_name(str(name))), None)
        if wrong is not None:
            raise ValueError(f"the part '{wrong}' is called by small letters and digits, a letter first")
        vendors = dict.fromkeys(str(one.get("vendor")) for one in parts.values() if isinstance(one, dict))
        return {"vendor": "+".join(vendors), **value}

    @field_validator("url")
    @classmethod
    def _names_nobody(cls, value: str | None) -> str | None:
        if value and "@" in value.split("//", 1)[-1].split("/", 1)[0]:
            raise ValueError("an address holds no user or password; name secrets under 'secrets'")
        return value


class Policies(Document):
    """What a person decided. ``people_without_seat``: an unmatched agent becomes a contact, is left to a person, or
    gets a seat of its own (which the vendor charges). ``edited``: what people changed at the destination since we wrote
    it stays where the source changed it too, or is overwritten. ``deleted``: what the source deletes later stays at the
    destination, or is deleted there too.
    """

    people_without_seat: Literal["stand_in", "manual", "create"] = "stand_in"
    preface: Flag = True
    edited: Literal["keep", "overwrite"] = "keep"
    deleted: Literal["keep", "delete"] = "keep"


class Thresholds(Document):
    """Shares of a kind's records that may be lost or left over before a person must say so (``--accept-losses``)."""

    manual: float = 0.05
    dropped: float = 1.0


class Migration(Document):
    """``migration.yaml``. ``cutover``: kind to field to values: what is live at once, which has a plan of its own.
    ``rewrite``: addresses that change on the way. ``narrow``: custom fields that are to be narrower where the records
    prove it. ``key``: where the key is kept that the customer's secrets are sealed with: ``env:``, ``keyring:`` or
    ``file:``.
    """

    name: str
    source: Account
    destination: Account
    policies: Policies = Policies()
    thresholds: Thresholds = Thresholds()
    select: Select = Select()
    overlay: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    cutover: dict[str, dict[str, tuple[str, ...]]] = {}
    rewrite: tuple[Change, ...] = ()
    narrow: tuple[Narrow, ...] = ()
    key: str | None = None

    @field_validator("key")
    @classmethod
    def _is_a_place(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"(env|keyring|file):.", value):
            raise ValueError("write env:VARIABLE, keyring:SERVICE/USER or file:PATH; never the key itself")
        return value


@dataclass(frozen=True)
class Workspace:
    """A folder with everything one migration knows. ``key``: where the key to its secrets is, if that is named."""

    folder: Path
    key: str | None = None

    @cached_property
    def vault(self) -> Vault:
        """Return what seals the customer's secrets, and opens them."""
        return Vault(self.folder, self.key, secret)

    @property
    def file(self) -> Path:
        """Return ``migration.yaml``."""
        return self.folder / "migration.yaml"

    @property
    def stage(self) -> Path:
        """Return the staging file."""
        return self.folder / "stage.duckdb"

    @property
    def ledger(self) -> Path:
        """Return the ledger."""
        return self.folder / "ledger.sqlite"

    @property
    def blobs(self) -> Path:
        """Return the folder of attachments' bytes, named by digest."""
        return self.folder / "blobs"

    @property
    def plan(self) -> Path:
        """Return the plan's summary."""
        return self.folder / "plan.json"

    def blob(self, digest: str) -> Path:
        """Return where the bytes with this sha256 lie."""
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise InputError(f"'{digest[:80]}' is not a digest")
        return self.blobs / digest[:2] / digest

    def sealed_blob(self, digest: str) -> Path:
        """Return where the bytes with this sha256 lie sealed: beside those that are not, which others may have too."""
        return self.blob(digest).with_suffix(".sealed")


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
        manifest = self.connector.manifest
        if self.parts:
            opened = {
                name: part.open(session=session, sleep=sleep, monotonic=monotonic, now=now)
                for name, part in self.parts.items()
            }
            first = next(iter(opened.values())).client
            nobody = Client("", None, Pacer([]), first.session, first.sleep, now=first.now)
            nobody.pacer.sleep, nobody.pacer.monotonic = first.pacer.sleep, first.pacer.monotonic
            return Composite(manifest, self.mapping, nobody, parts=opened, to=self.to)
        quota, account = manifest.quota, self.account
        plan = account.plan or quota.default_plan
        limits = []
        for rule in quota.rules:
            if plan not in rule.per_minute:
                raise InputError(
                    f"{account.vendor} has no plan '{plan}'{did_you_mean(plan, rule.per_minute)}", file=self.file
                )
            granted = (None if rule.matching else account.per_minute) or rule.per_minute[
                plan
            ]  # what is granted is the account's
            ours = max(1, int(granted * account.share))
            limits.append(Limit(rule.name, ours, rule.matching, granted, rule.window, rule.costs))
        pacer = Pacer(
            limits,
            quota.total,
            quota.remaining,
            quota.retry_after,
            account.share,
            quota.total_of == "endpoint",
            used_header=quota.used,
            reset_header=quota.reset,
        )
        client = Client(self.base_url(), self._auth(), pacer)
        if session is not None:
            client.session = session
        client.session.headers.update(self.connector.manifest.headers)
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


def secret(where: str, what: str) -> str:
    """Return a secret from the environment or the keyring. Raises AccessError, naming the place and never the value."""
    scheme, _, name = where.partition(":")
    if scheme == "env":
        if not os.environ.get(name):
            raise AccessError(f"{what}: the environment variable {name} is not set; export it and try again")
        return _one_line(os.environ[name], what, name)
    import keyring

    service, _, user = name.partition("/")
    found = keyring.get_password(service, user)
    if not found:
        raise AccessError(f"{what}: the keyring holds nothing for {service}/{user}; `keyring set {service} {user}`")
    return _one_line(found, what, f"{service}/{user}")


def _one_line(found: str, what: str, place: str) -> str:
    """Refuse what no header can carry, here: the HTTP library would show it in its own complaint."""
    if not (found.isascii() and found.isprintable()) or found != found.strip():
        raise AccessError(
            f"{what}: {place} holds more than a secret (a blank, a line break, a letter outside ASCII); store it anew"
        )
    return found
