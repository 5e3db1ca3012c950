"""The long sweep: extract, load, verify, delta, undo, move, killed at every request, under every fault, under mixtures.

    python benchmarks/crashes.py [--points 1000] [--processes 1] [--seed 1] [--json FILE]

Both ways, Zendesk to Freshdesk and Freshdesk to Zendesk. Each point carries out one command in a child process that
SIGKILL ends before or after its nth request (or that meets faults there), and carries it out again until it comes to
its end. Then the destination's records, the ledger, the stage and the verdict must be those of an undisturbed run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import _deaths as deaths
from _deaths import COMMANDS, FAULTS, JUMPS, KILLS, Bench, Event, Far

from migrator import registry
from migrator.testing.sandbox import Clock
from tests.support.desks import tiny_desk, tiny_freshdesk

PAIRS = {"zendesk to freshdesk": tiny_desk, "freshdesk to zendesk": tiny_freshdesk}
Point = tuple[str, str, tuple[Event, ...]]  # pair, command, events
SORTS = dict.fromkeys(KILLS, "killed") | dict.fromkeys(FAULTS, "fault") | dict.fromkeys(deaths.DISKS, "disk")
SECRET = "MIGRATOR_CRASHES_{}"


# ---- made ready once -------------------------------------------------------------------------------------------------


def accounts(pair: str) -> Far:
    """Make up both accounts."""
    clock = Clock()
    if pair == "freshdesk to zendesk":
        clock = Clock("2026-09-01T00:00:00+00:00")
    old, new = PAIRS[pair](clock)
    for box in (old, new):
        box.keep_bodies = False
    return Far(old, new, clock)


def written(far: Far, folder: Path) -> None:
    """Write the workspace's migration.yaml."""
    sides: dict[str, Any] = {}
    for side, box in (("source", far.old), ("destination", far.new)):
        connector = registry.connector(box.vendor)
        name = SECRET.format(box.vendor.upper())
        sides[side] = {
            "vendor": box.vendor,
            "url": box.base_url,
            "plan": "enterprise",
            "workers": 1,
            "secrets": dict.fromkeys(connector.manifest.secrets, f"env:{name}"),
            **({"settings": {"user": connector.sandbox.EMAIL}} if hasattr(connector.sandbox, "EMAIL") else {}),
        }
    folder.mkdir(parents=True)
    more = {"thresholds": {"manual": 1.0}, "policies": {"deleted": "delete"}}
    (folder / "migration.yaml").write_text(json.dumps({"name": "sweep", **sides, **more}), encoding="utf-8")
    far.save(folder)


def changed(far: Far) -> None:
    """Let people work at the source: one ticket changes, gets a message, and another is deleted."""
    module, old = registry.connector(far.old.vendor).sandbox, far.old
    first, second = sorted(old.store["tickets"])[:2]
    later = "2026-10-20T08:00:00Z" if old.vendor == "zendesk" else far.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    for id, change in ((first, {"subject": "Another matter", "raw_subject": "Another matter"}), (second, {})):
        stamp = {"generated_timestamp": 1792483200} if old.vendor == "zendesk" else {}
        gone = {"status": "deleted"} if old.vendor == "zendesk" else {"deleted": True}
        change = change if old.vendor == "zendesk" or not change else {"subject": "Another matter"}
        old.store["tickets"][id] = {**old.store["tickets"][id], "updated_at": later, **stamp, **(change or gone)}
    if old.vendor == "zendesk":
        comment = next(c["comment"] for c in old.store["ticket_comments"].values() if c["ticket_id"] == first)
        said = {**comment, "id": 90001, "attachments": [], "created_at": later, "html_body": "<p>and this</p>"}
        module.seed(old, "ticket_comments", [{"ticket_id": first, "comment": said}])
        module.touch(old)
    else:
        note = next(c for c in old.store["conversations"].values() if c["ticket_id"] == first)
        said = {**note, "id": 990001, "attachments": [], "created_at": later, "updated_at": later}
        module.seed(old, "conversations", [said | {"body": "<div>and this</div>", "body_text": "and this"}])
    far.clock.sleep(120)


def touched(far: Far) -> None:
    """Let every ticket change, so that its thread is read again: then there is something to read beside the writing."""
    later = "2026-10-20T08:00:00Z" if far.old.vendor == "zendesk" else far.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    for ticket in far.old.store["tickets"].values():
        ticket.update(updated_at=later)
        if far.old.vendor == "zendesk":
            ticket.update(generated_timestamp=1792483200)
    far.clock.sleep(120)


def prepare(pair: str, folder: Path) -> Bench:
    """Make every workspace a command begins in, and note what each command leaves undisturbed."""
    far = accounts(pair)
    written(far, folder / "empty")
    calls, wanted = {}, {}
    follows = {"extract": "extracted", "load": "loaded"}
    for command in COMMANDS:
        begins = folder / COMMANDS[command][0]
        if command == "load":
            shutil.copytree(folder / "extracted", begins)
            far.take_up(begins)
            calm(far, lambda line, at=begins: deaths.steps_in(at, line).plan())  # type: ignore[misc]
            far.save(begins)
        if command == "delta":
            shutil.copytree(folder / "loaded", begins)
            changed(far.take_up(begins))
            far.save(begins)
        if command == "move":
            shutil.copytree(folder / "planned", begins)
            touched(far.take_up(begins))
            far.save(begins)
        here = folder / f"calm {command}"
        shutil.copytree(begins, here)
        far.take_up(here)

        def undisturbed(line: deaths.Line, command: str = command, here: Path = here) -> deaths.Left:
            deaths.carry_out(command, here, line)
            return deaths.left(command, here)

        left = calm(far, undisturbed)
        calls[command], wanted[command] = far.calls, replace(left, held=deaths.held(far.new))
        if command in follows:
            far.save(here)
            here.rename(folder / follows[command])
    return Bench(pair, folder, calls, wanted)


def calm(far: Far, work: Callable[[deaths.Line], Any]) -> Any:
    """Carry out what nothing disturbs."""
    code, result = deaths.forked(work, far)
    if code:
        raise SystemExit(f"could not be made ready: {result}")
    return result


# ---- the points ------------------------------------------------------------------------------------------------------


def kills(benches: list[Bench]) -> list[Point]:
    """Return a death before and after every request of every command, both ways."""
    return [
        (bench.pair, command, ((how, at),))
        for bench in benches
        for command, calls in bench.calls.items()
        for at in range(1, calls + 1)
        for how in KILLS
    ]


def faults(benches: list[Bench]) -> list[Point]:
    """Return every fault at every request of every command, both ways."""
    return [
        (bench.pair, command, ((how, at),))
        for bench in benches
        for command, calls in bench.calls.items()
        for at in range(1, calls + 1)
        for how in FAULTS
    ]


def mixtures(benches: list[Bench], chance: random.Random) -> Iterator[Point]:
    """Yield a death with one to four more events of any sort, at random requests, without end."""
    while True:
        bench = chance.choice(benches)
        command = chance.choice(list(bench.calls))
        hows = [chance.choice(KILLS), *(chance.choice((*KILLS, *FAULTS, *JUMPS)) for _ in range(chance.randint(1, 4)))]
        events = [(how, chance.randint(1, bench.calls[command])) for how in hows]
        yield bench.pair, command, tuple(events)


def disks(benches: list[Bench]) -> list[Point]:
    """Return a disk that is full from each request of every command on, both ways, and one that is read-only."""
    return [
        (bench.pair, command, ((how, at),))
        for bench in benches
        for command, calls in bench.calls.items()
        for how, at in [("read-only", 0), *(("disk full", at) for at in range(1, calls + 1))]
    ]


def spread(points: list[Point], chance: random.Random) -> list[Point]:
    """Return points in an order of chance, each command of each pair in turn, so that few are a little of all."""
    chance.shuffle(points)
    groups: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        groups.setdefault(point[:2], []).append(point)
    turns = itertools.zip_longest(*groups.values())
    return [point for turn in turns for point in turn if point is not None]


def chosen(benches: list[Bench], points: int, seed: int, what: str) -> list[Point]:
    """Return so many points of a sort, in an order of chance; of ``all``: every death, then faults, mixtures, disks."""
    chance = random.Random(seed)
    deadly, other, disk = (spread(some(benches), chance) for some in (kills, faults, disks))
    mixed = mixtures(benches, chance)
    if what != "all":
        if what == "deaths":
            return [*deadly, *itertools.islice(mixed, max(0, points - len(deadly)))][:points]
        of = {"kills": deadly, "faults": other, "disks": disk, "mixtures": list(itertools.islice(mixed, points))}
        return of[what][:points]
    most = min(len(deadly), points * 3 // 5)
    each = (points - most) // 3
    rest = points - most - 2 * each
    return [*deadly[:most], *other[:each], *itertools.islice(mixed, rest), *disk[:each]]


# ---- the sweep -------------------------------------------------------------------------------------------------------


def sweep(benches: list[Bench], points: list[Point], folder: Path) -> list[dict[str, Any]]:
    """Carry out every point; return a line for each. Those of the disk are left out where none can be mounted."""
    try:
        with deaths.Disk(folder / "disk") as disk:
            return _sweep(benches, points, folder, disk)
    except PermissionError as err:
        print(err)
        return _sweep(benches, points, folder, None)


def _sweep(benches: list[Bench], points: list[Point], folder: Path, disk: deaths.Disk | None) -> list[dict[str, Any]]:
    by_pair = {bench.pair: (bench, accounts(bench.pair)) for bench in benches}
    lines = []
    for number, (pair, command, events) in enumerate(points):
        bench, far = by_pair[pair]
        began = time.monotonic()
        far.disk = disk
        if disk is None and events[0][0] in deaths.DISKS:
            continue
        if number % 50 == 49:
            print(f"{number + 1} of {len(points)}", flush=True)
        runs, differs = deaths.survive(bench, far, command, events, folder)
        line = {"pair": pair, "command": command, "events": events, "runs": runs, "differs": differs}
        lines.append(line | {"seconds": round(time.monotonic() - began, 2)})
        with (folder / "lines").open("a", encoding="utf-8") as file:  # as they come: a sweep may be cut off too
            file.write(json.dumps(lines[-1], default=str) + "\n")
        if differs:
            print("WRONG", json.dumps(lines[-1], default=str)[:3000], flush=True)
    return lines


def shared(benches: list[Bench], points: list[Point], folder: Path, processes: int) -> list[dict[str, Any]]:
    """Carry the points out in several processes."""
    children = []
    for number in range(processes):
        scratch = folder / f"process {number}"
        scratch.mkdir()
        child = os.fork()
        if child == 0:
            try:  # whatever happens, the folder is the parent's to clear
                sweep(benches, points[number::processes], scratch)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append((child, scratch / "lines"))
    lines = []
    for child, file in children:
        os.waitpid(child, 0)
        lines += [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return lines


def table(lines: list[dict[str, Any]]) -> str:
    """Return the points by pair and command, as markdown."""
    heads = "from, to|command|killed|one fault|several at once|disk|runs|records lost|records doubled|other".split("|")
    shown = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for pair, command in itertools.product(PAIRS, COMMANDS):
        mine = [line for line in lines if (line["pair"], line["command"]) == (pair, command)]
        sorts = Counter("several" if len(line["events"]) > 1 else SORTS[line["events"][0][0]] for line in mine)
        lost, doubled = (sum(int(line["differs"].get(what, 0)) for line in mine) for what in ("lost", "doubled"))
        other = sum(bool({*line["differs"]} - {"lost", "doubled"}) for line in mine)
        runs = sum(line["runs"] for line in mine)
        shown.append(
            f"| {pair} | {command} | {sorts['killed']} | {sorts['fault']} | {sorts['several']} | {sorts['disk']} "
            f"| {runs} | {lost} "
            f"| {doubled} | {other} |"
        )
    return "\n".join(shown)


def main() -> int:
    """Run the sweep and print its table; 1 where anything was lost, doubled or left otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--commands", nargs="+", default=list(COMMANDS), choices=list(COMMANDS))
    parser.add_argument("--what", default="all", choices=["all", "deaths", "kills", "faults", "mixtures", "disks"])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--folder", type=Path, help="where to work; what was found so far lies in it")
    options = parser.parse_args()
    for vendor in ("zendesk", "freshdesk"):  # read once, before any child
        os.environ[SECRET.format(vendor.upper())] = registry.connector(vendor).sandbox.TOKEN
    deaths.warm()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder, began = Path(name), time.monotonic()
        benches = [prepare(pair, folder / pair.replace(" ", "-")) for pair in options.pairs]
        for bench in benches:
            print(f"{bench.pair}: requests {bench.calls}, ready after {time.monotonic() - began:.0f} s", flush=True)
            for command in {*COMMANDS} - {*options.commands}:
                del bench.calls[command]
        points = chosen(benches, options.points, options.seed, options.what)
        began = time.monotonic()
        lines = shared(benches, points, folder, options.processes)
        took = time.monotonic() - began
    wrong = [line for line in lines if line["differs"]]
    print(table(lines))
    print(f"{len(lines)} points in {took:.0f} s; {len(wrong)} left anything otherwise than an undisturbed run")
    if options.json:
        made = {"seconds": round(took), "seed": options.seed, "lines": lines}
        options.json.write_text(json.dumps(made, indent=1, default=str), encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
