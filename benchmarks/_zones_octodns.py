"""One zone from a PowerDNS to another by octoDNS as a library, as its documentation has it, in its own environment."""

from __future__ import annotations

import json
import resource
import sys
import time

from octodns.processor.filter import ExcludeRootNsChanges
from octodns.zone import Zone
from octodns_powerdns import PowerDnsProvider


def provider(name: str, port: str) -> PowerDnsProvider:
    return PowerDnsProvider(name, host="127.0.0.1", port=int(port), api_key="labkey", timeout=120)


def main(old: str, new: str, zone: str) -> None:
    began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    source, target = provider("old", old), provider("new", new)
    wanted = Zone(zone, [])
    source.populate(wanted, lenient=True)
    plan = target.plan(wanted, processors=[ExcludeRootNsChanges("keep-ns")])
    if plan is not None:
        target.apply(plan)
    copied = time.monotonic() - began
    again = provider("new", new).plan(wanted, processors=[ExcludeRootNsChanges("keep-ns")])
    after = resource.getrusage(resource.RUSAGE_SELF)
    work = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    said = {"seconds": time.monotonic() - began, "work_cpu": work, "rows": len(wanted.records), "copied": copied}
    print(json.dumps({**said, "converged": again is None}))


if __name__ == "__main__":
    main(*sys.argv[1:4])
