"""The suite every connector passes, ours and other people's. A test file of a few lines runs it::

    from migrator.testing.conformance import Suite, checks

    SUITE = Suite("southdesk")

    @pytest.mark.parametrize("check", checks(SUITE), ids=str)
    def test_conformance(check, tmp_path):
        check(tmp_path)

What it holds a destination to: *create, then read back, equals the prediction*, for made-up records of every kind it
declares, awkward ones among them; nothing is doubled or missing after a fault at any call; refusals end in the
quarantine. What it holds a source to: every record arrives once, whatever the size of a page; strangers are told apart.
"""

from migrator.testing.conformance.ground import Ground, SandboxGround, ServerGround, Straight
from migrator.testing.conformance.laws import Check, checks
from migrator.testing.conformance.made_up import TEXTS
from migrator.testing.conformance.runs import Run, begin, read_all, stage_all
from migrator.testing.conformance.suite import Suite

__all__ = [
    "TEXTS", "Check", "Ground", "Run", "SandboxGround", "ServerGround", "Straight", "Suite", "begin", "checks",
    "read_all", "stage_all",
]  # fmt: skip
