"""The acceptance certificate: what was moved and what was not, in digests, signed.

Every figure is computed from the stage and the ledger, so that ``check`` can compute it again. Nothing in it is a
customer's text: records are held by digest. docs/certificate.md says how anybody checks one without this program.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import migrator
from migrator import signing
from migrator.errors import InputError, WorkspaceError
from migrator.evidence import Fault, contents, judged, lacking
from migrator.export import Rows, opened
from migrator.ledger import Ledger
from migrator.signing import canonical_json
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.verify import Verified
from migrator.workspace import Workspace, now

FORMAT = "migrator certificate 1"
FILE, KEY = "certificate.json", "certificate.key"
STATED = ("made_at", "migrator", "public_key", "signature")  # nothing in the workspace tells these again
SHOWN = 5  # faults of one sort that are named one by one

Certificate = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """A certificate that was written, and the key file made for it, if one was."""

    certificate: Certificate
    file: Path
    new_key: Path | None

    @property
    def proven(self) -> bool:
        """Tell whether the certificate says that everything planned is there and as predicted."""
        return bool(self.certificate["verdict"]["proven"])


@dataclass(frozen=True)
class Checked:
    """What a check found. ``against``: what the certificate was held against, beside its own signature."""

    certificate: Certificate
    against: tuple[str, ...]
    faults: tuple[Fault, ...]


# ---- make -----------------------------------------------------------------------------------------------------------


def make(steps: Steps, key: str | None = None) -> Made:
    """Write ``certificate.json``. Raises InputError where the plan that lies here was not verified as it lies here."""
    verification = _verification(steps)
    with Stage(steps.workspace.stage) as stage, Ledger(steps.workspace.ledger) as ledger:
        lacks = lacking(steps, stage)
        if lacks:
            raise _stale(str(lacks[0]))
        found = contents(steps, stage) | judged(steps, stage, ledger)
        _still_holds(found, verification, stage, ledger)
        signer, new_key = signing.signer(key, steps.workspace.folder / KEY)
        certificate = found | {
            "format": FORMAT,
            "made_at": now(),
            "migrator": migrator.__version__,
            "planned_at": steps.saved_plan().get("at", ""),
            "verified_at": verification["at"],
            "public_key": signer.public_key().public_bytes_raw().hex(),
        }
        certificate["signature"] = signer.sign(canonical_json(certificate)).hex()
        file = steps.workspace.folder / FILE
        _replace(file, canonical_json(certificate) + b"\n")
        ledger.note(found["plan"]["digest"], "certificate", now(), found["verdict"]["text"])
    return Made(certificate, file, new_key)


def _verification(steps: Steps) -> dict[str, Any]:
    plan = steps.saved_plan()
    file = steps.workspace.folder / "verify.json"
    if not file.is_file() or not steps.workspace.ledger.is_file():
        raise InputError("the plan in the workspace is not verified yet", remedy="run `migrator verify` first")
    verification: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if verification["plan"] != plan["digest"]:
        raise _stale(f"it is of the plan {verification['plan'][:12]}, not of {plan['digest'][:12]}")
    return verification


def _stale(why: str) -> InputError:
    return InputError(
        f"the verification is out of date: {why}", remedy="plan and load what is new, then run `migrator verify` again"
    )


def _still_holds(found: Certificate, verification: dict[str, Any], stage: Stage, ledger: Ledger) -> None:
    """Raise InputError where records, mapping, ledger or read-back are not those that were verified."""
    plan = found["plan"]
    if plan["records"] != stage.one("SELECT records FROM plan.seal"):
        raise _stale("the source's records are not those that were planned")
    if plan["digest"] != verification["plan"]:
        raise _stale("the plan, or a file it was made by, has changed since")
    history = [(command, of) for of, command, *_ in ledger.history()]
    verified = max((at for at, line in enumerate(history) if line == ("verify", plan["digest"])), default=-1)
    if any(command == "load" for command, _ in history[verified + 1 :]):
        raise _stale("a load has run since")
    names = Verified.__dataclass_fields__
    if found["verification"] != {each: verification[each] for each in names}:
        raise _stale("comparing again gives other figures")


# ---- check ----------------------------------------------------------------------------------------------------------


def check(
    file: Path, *, steps: Steps | None = None, export_file: Path | None = None, public_key: str | None = None
) -> Checked:
    """Prove the signature, then hold the certificate against a workspace, an export, both or neither.

    Raises InputError, with file and line, where the file is no certificate.
    """
    content = _content(file)
    certificate = _read(content, file)
    faults = list(_unsigned(certificate, content, public_key))
    against = []
    if steps is not None:
        against.append(str(steps.workspace.folder))
        faults += _against_workspace(certificate, steps)
    if export_file is not None:
        against.append(str(export_file))
        faults += _against_export(certificate, export_file)
    return Checked(certificate, tuple(against), tuple(faults))


def summary(workspace: Workspace) -> dict[str, Any] | None:
    """Return what a report shows of the workspace's certificate; None where there is none, or it cannot be read.

    ``signed``: its signature holds. ``current``: it is of the plan and the verification that lie in the workspace.
    """
    file = workspace.folder / FILE
    try:
        content = _content(file)
        certificate = _read(content, file)
        verification = json.loads(workspace.folder.joinpath("verify.json").read_text(encoding="utf-8"))
    except InputError:
        return None
    except (OSError, ValueError):
        verification = {}
    verdict, plan = certificate.get("verdict"), certificate.get("plan")
    of = plan.get("digest") if isinstance(plan, dict) else None
    return {
        "file": FILE,
        "signed": not any(_unsigned(certificate, content, None)),
        "current": (of, certificate.get("verified_at")) == (verification.get("plan"), verification.get("at")),
        "proven": bool(verdict.get("proven")) if isinstance(verdict, dict) else False,
        "verdict": str(verdict.get("text", "")) if isinstance(verdict, dict) else "",
        **{each: str(certificate.get(each, "")) for each in ("made_at", "verified_at", "public_key")},
        "plan": of,
    }


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as err:
        remedy = "`migrator certificate make` writes one"
        raise InputError(f"cannot be read ({err.strerror})", file=str(file), remedy=remedy) from err


def _read(content: bytes, file: Path) -> Certificate:
    """Return the file's document. Raises InputError where it is no certificate of the format known here."""
    try:
        document = json.loads(content)
    except json.JSONDecodeError as err:
        raise InputError(f"no certificate: {err.msg}", file=str(file), line=err.lineno) from err
    except (UnicodeDecodeError, RecursionError, ValueError) as err:
        line = content.count(b"\n", 0, err.start) + 1 if isinstance(err, UnicodeDecodeError) else 1
        raise InputError("no certificate: not JSON in UTF-8", file=str(file), line=line) from err
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        says = f"its format is {found!r:.60}" if found is not None else "it names no format"
        raise InputError(f"no certificate: {says}, not {FORMAT!r}", file=str(file), line=1)
    return dict(document)


def _unsigned(certificate: Certificate, content: bytes, public_key: str | None) -> Iterator[Fault]:
    """Yield what is wrong with the signature, the key, and the way the file is written."""
    if public_key is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", public_key):
        raise InputError("--public-key is not 64 hexadecimal digits", remedy="`migrator certificate make` prints it")
    key, signature = (str(certificate.get(part)) for part in ("public_key", "signature"))
    if public_key is not None and key != public_key.lower():
        yield Fault("certificate", "", f"signed by another key, {key[:64]}")
    signed = {part: value for part, value in certificate.items() if part != "signature"}
    try:
        as_written = canonical_json(certificate) + b"\n"
    except ValueError:  # half an emoji
        as_written = b""
    if content != as_written:
        yield Fault("certificate", "", "not written as migrator writes it; a byte was changed")
    if not as_written or not signing.holds(signed, public_key=key, signature=signature):
        yield Fault("certificate", "", "the signature does not hold; what it says was changed after it was signed")


def _against_workspace(certificate: Certificate, steps: Steps) -> list[Fault]:
    """Compute everything again. What follows from the records is left out where the records are others."""
    if not steps.workspace.stage.is_file() or not steps.workspace.ledger.is_file():
        raise InputError(f"{steps.workspace.folder} holds no records", remedy="name the workspace it was made in")
    with Stage(steps.workspace.stage) as stage, Ledger(steps.workspace.ledger) as ledger:
        faults = lacking(steps, stage)
        if not faults:
            found = contents(steps, stage)
            faults = list(_differing({part: certificate.get(part) for part in found}, found))
        if not faults:
            found |= judged(steps, stage, ledger)
            said = {part: value for part, value in certificate.items() if part not in STATED}
            stated = {part: said.get(part) for part in ("format", "planned_at", "verified_at")}
            faults = list(_differing(said, found | stated))
    return faults


def _differing(said: Any, found: Any, path: tuple[str, ...] = ()) -> Iterator[Fault]:
    """Yield where a certificate and the workspace differ, down to the figure."""
    if isinstance(said, dict) and isinstance(found, dict):
        for key in sorted({*said, *found}):
            yield from _differing(said.get(key), found.get(key), (*path, key))
        return
    if canonical_json(said) == canonical_json(found):  # 1 is not true here
        return
    kind, place = (path[1], path[2:]) if path[0] in ("kinds", "counts") and len(path) > 1 else ("", path)
    if isinstance(said, list) and isinstance(found, list):
        for text, some, others in (("only in the certificate", said, found), ("only in the workspace", found, said)):
            known = {canonical_json(other) for other in others}
            more = [one for one in some if canonical_json(one) not in known]
            for one in more[:SHOWN]:
                named = str(one.get("kind", "")) if isinstance(one, dict) else ""
                yield Fault("workspace", named, f"{' '.join(path)}: {text}: {_short(one)}")
            if len(more) > SHOWN:
                yield Fault("workspace", "", f"{' '.join(path)}: {len(more) - SHOWN} more {text}")
        return
    what = " ".join(place).replace("_", " ")
    yield Fault("workspace", kind, f"{what}: the certificate says {_short(said)}, the workspace {_short(found)}")


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(each)}" for key, each in value.items())
    text = "nothing" if value is None else str(value)
    return text[:12] if re.fullmatch(r"[0-9a-f]{64}", text) else text[:200]


def _against_export(certificate: Certificate, file: Path) -> list[Fault]:
    """Read an export, line by line, and hold each kind's number and digest against what was read back."""
    kinds = certificate.get("kinds")
    said = {
        str(kind): of.get("read_back") if isinstance(of, dict) else None
        for kind, of in (kinds.items() if isinstance(kinds, dict) else ())
    }
    rows = {kind: Rows() for kind in said}
    faults: list[Fault] = []
    strange = 0
    try:
        with opened(file) as lines:
            for number, line in enumerate(lines, 1):
                start = line.rfind(b',"kind":"')
                kind = line[start + 9 : -3].decode(errors="replace") if start > 0 and line.endswith(b'"}\n') else ""
                if kind in rows:
                    rows[kind].add(hashlib.sha256(line[:-1]).digest())
                    continue
                strange += 1
                if strange <= SHOWN:
                    faults.append(Fault(f"{file}:{number}", "", "no record of a kind the certificate names"))
    except FileNotFoundError as err:
        raise InputError("no such file", file=str(file), remedy="`migrator certificate export` writes one") from err
    except (OSError, EOFError, zlib.error) as err:
        return [*faults, Fault(str(file), "", f"cannot be read to its end ({err})")]
    if strange > SHOWN:
        faults.append(Fault(str(file), "", f"{strange - SHOWN} more lines like these"))
    for kind, of in said.items():
        count, held = rows[kind].count, rows[kind].digest()
        records, of_them = (of.get("records"), of.get("digest")) if isinstance(of, dict) else (None, None)
        if records != count:
            text = f"read back records: the certificate says {_short(records)}, the export holds {count}"
            faults.append(Fault(str(file), kind, text))
        elif of_them != held:
            text = f"read back digest: the certificate says {_short(of_them)}, the export's records give {held[:12]}"
            faults.append(Fault(str(file), kind, f"{text}: at least one record is another"))
    if not said:
        faults.append(Fault("certificate", "", "it names no kinds to hold the export against"))
    return faults


def _replace(file: Path, content: bytes) -> None:
    part = file.with_name(file.name + ".part")
    try:
        part.write_bytes(content)
        part.replace(file)
    except OSError as err:
        raise WorkspaceError(f"{file} cannot be written: {err}") from err
