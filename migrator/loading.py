"""A load in a thread of its own, its calls set apart from the plan: the next wave is planned while one is written."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from migrator import orders
from migrator.accounts import LoadProgress, silent_load
from migrator.ledger import Ledger
from migrator.load import Loaded
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.switches import quiet


@dataclass(frozen=True)
class Loading:
    """A load in a thread of its own. ``alone``: no plan may be made meanwhile. ``waits``: for how many seconds yet the
    destination's quota keeps it."""

    future: Future[Loaded]
    units: int
    over: Callable[[], int]  # units written or put aside
    waits: Callable[[], float]
    alone: bool

    @property
    def ended(self) -> bool:
        """Tell whether it has come to its end, whichever."""
        return self.future.done()

    def result(self) -> Loaded:
        """Return what it did, once it has ended. Raises what ended it."""
        return self.future.result()


@contextmanager
def loading(steps: Steps, digest: str, progress: LoadProgress = silent_load) -> Iterator[Loading]:
    """Carry out the plan with this digest meanwhile.

    Leaving the ``with`` waits for the end; leaving it by an error ends the load after the calls under way.
    """
    with Stage(steps.workspace.stage) as stage, Ledger(steps.workspace.ledger) as ledger:
        destination = steps.destination()
        loader = steps.loader(stage, ledger, destination, progress, orders.PLANNED)
        loader.begin(digest, steps.files())
        orders.set_apart(stage, loader.plan)

        def carry_out() -> Loaded:
            with quiet(destination, ledger, steps.clock()):
                return loader.carry_out()

        units, alone = orders.units(stage), not orders.creates_only(stage)
        with ThreadPoolExecutor(1, "load") as pool:
            future = pool.submit(carry_out)  # from here on the stage is the loader's
            try:
                over = functools.partial(orders.over, ledger, loader.plan)
                yield Loading(future, units, over, destination.waits_seconds, alone)
                loaded = future.result()
            except BaseException:
                loader.stop()
                raise
        orders.let_go(stage)
        steps.loaded(ledger, loader.plan, loaded)
