"""The commands: the only place that prints. Heavy modules are imported inside, so that ``--help`` answers at once.

Exit codes: 0 done · 1 something needs a person (differences, quarantine, a right is missing) · 2 wrong file or option ·
3 credentials · 4 the plan was refused · 5 the vendor is out of reach · 6 the extract is incomplete · 7 the workspace.
"""

from __future__ import annotations

import gc

# Importing registers the commands, in the order of their help.
# isort: off
from migrator.cli import prepare  # noqa: F401
from migrator.cli import run  # noqa: F401
from migrator.cli import steer  # noqa: F401
from migrator.cli import back  # noqa: F401
from migrator.cli import certify  # noqa: F401
from migrator.cli import cutover  # noqa: F401
from migrator.cli import passport  # noqa: F401
from migrator.cli import rules  # noqa: F401
from migrator.cli import look  # noqa: F401

# isort: on
from migrator.cli.common import app, say

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; an error of ours becomes one line and its exit code."""
    gc.set_threshold(
        50_000, 20, 100
    )  # imports are no garbage: a tenth of their time (and see control.seldom_collected)
    try:
        app(standalone_mode=True)
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here", err=True)
        raise SystemExit(130) from None
    except Exception as err:
        from migrator.errors import MigratorError, disk_trouble

        shown = err if isinstance(err, MigratorError) else disk_trouble(err)
        if shown is None:
            raise
        say(f"error: {shown}", err=True)
        raise SystemExit(shown.exit_code) from None
