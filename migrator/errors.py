"""Every exception, grouped by what the caller does next.

MigratorError                 shown to the person, without a traceback; ``exit_code`` says which kind it was
├── StoppedError              1  a person stopped the run: run it again to go on
├── HeldError                 1  the quota keeps a call that need not wait: do something else meanwhile
├── InputError                2  a file or an option is wrong: correct it (names file, line, remedy)
├── AccessError               3  credentials or rights are missing
│   └── ForbiddenError           403 to a reading call: a right is missing, or the plan lacks the feature
├── PlanError                 4  the plan was refused: plan again, or name the losses
├── VendorError               5  the vendor cannot be used now
│   ├── RetryError               nothing was done: try again after ``after`` seconds
│   ├── UnknownOutcomeError      a write may or may not have happened: look it up, never repeat it
│   └── RefusedError             the vendor refused this record: quarantine it with the answer
├── TruncatedError            6  fewer records arrived than the vendor itself counts
└── WorkspaceError            7  the workspace cannot be read or written (disk full, locked by another run)
"""

from __future__ import annotations

import errno

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
DISK_SAYS = (
    "No space left",
    "Disk quota exceeded",
    "File too large",
    "Read-only file system",
    "Could not write",
    "database or disk is full",
    "readonly database",
    "database has been invalidated",  # DuckDB, after a write that failed
)


class MigratorError(Exception):
    """A failure a person can act on."""

    exit_code = 1


class StoppedError(MigratorError):
    """A person stopped the run; what was done is noted, and the next run goes on from there."""


class HeldError(MigratorError):
    """The quota keeps a call that said it need not wait; nothing was sent."""


class InputError(MigratorError):
    """A file or an option is wrong; ``file:line: what; remedy``."""

    exit_code = 2

    def __init__(self, what: str, *, file: str = "", line: int | None = None, remedy: str = "") -> None:
        place = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(place + what + (f"; {remedy}" if remedy else ""))
        self.file, self.line, self.remedy = file, line, remedy


class AccessError(MigratorError):
    """Credentials are missing or refused, or the account lacks a right."""

    exit_code = 3


class ForbiddenError(AccessError):
    """A reading call was answered 403; ``answer`` is the vendor's own."""

    def __init__(self, what: str, *, answer: str = "") -> None:
        super().__init__(what)
        self.answer = answer


class PlanError(MigratorError):
    """The plan named is not the plan that lies in the workspace, or its losses were not accepted."""

    exit_code = 4


class VendorError(MigratorError):
    """The vendor could not be used."""

    exit_code = 5


class RetryError(VendorError):
    """Nothing was done; the call may be repeated after ``after`` seconds."""

    def __init__(self, what: str, *, after: float | None = None, throttled: bool = False) -> None:
        super().__init__(what)
        self.after, self.throttled = after, throttled


class UnknownOutcomeError(VendorError):
    """No usable answer came to a write: it may have been carried out."""


class RefusedError(VendorError):
    """The vendor refused this record; ``status`` and ``answer`` are the vendor's own."""

    def __init__(self, what: str, *, status: int = 0, answer: str = "") -> None:
        super().__init__(what)
        self.status, self.answer = status, answer


class AbsentError(RefusedError):
    """The address names nothing (404, 410)."""


class TruncatedError(MigratorError):
    """The vendor counts more records than it handed over."""

    exit_code = 6


class WorkspaceError(MigratorError):
    """The workspace cannot be used: locked by another run, full, or read-only."""

    exit_code = 7


def disk_trouble(err: BaseException | None) -> WorkspaceError | None:
    """Return what to say where a disk that is full, read-only or broken is behind an error; None for any other."""
    while err is not None:
        if isinstance(err, WorkspaceError):
            return err
        said = (str(err).splitlines() or [""])[0]
        if (isinstance(err, OSError) and err.errno in DISK) or any(words in said for words in DISK_SAYS):
            return WorkspaceError(
                f"the workspace cannot be written: {said[:300]}; make room, and the same command goes on from here"
            )
        err = err.__cause__ or err.__context__
    return None
