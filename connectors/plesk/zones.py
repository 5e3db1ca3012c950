"""Zones at Plesk: records come and go one by one, and each zone begins with what a template puts there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from migrator.connector import Native
from migrator.errors import AbsentError, RefusedError, UnknownOutcomeError
from migrator.zones.account import Change
from migrator.zones.records import RecordSet, absolute

from . import records
from .account import Subscription
from .api import ABSENT, EXISTS
from .packets import Operation, el, operation, plain


class Zones(Subscription):
    """The zones of the subscription's sites."""

    def zones(self) -> Iterable[Native]:
        """Return the zones: each site has one, a sub domain's names are in its domain's."""
        names = (absolute(one["name"]) for one in self.sites() if one["sort"] != "subdomain")
        return [{"id": zone, "name": zone} for zone in names]

    def held(self, zone: str) -> Iterable[RecordSet]:
        """Return a zone's record sets."""
        return records.gathered(zone, self._rows(self._zone_site(zone)))

    def _zone_site(self, zone: str) -> str:
        site_id = self.site_of(zone.rstrip("."))
        if not site_id:
            raise AbsentError(f"there is no site {zone.rstrip('.')} at Plesk, so that it has no zone", status=404)
        return site_id

    def _rows(self, site_id: str) -> list[Native]:
        found = self.ask(operation("dns", "get_rec", el("filter", el("site-id", site_id))))
        told = ({"id": one.node.findtext("id"), **plain(one.node.find("data") or el("data"))} for one in found)
        return [one for one in told if one.get("type")]

    def open_zone(self, payload: Native) -> None:
        """Empty the zone that came with its site: what Plesk's template put there answers in place of ours."""
        rows = self._of_template(str(payload["name"]))
        self._carried_out([_del_record(row) for row in rows], "dns/del_rec")

    def _of_template(self, zone: str) -> list[Native]:
        rows = self._rows(self._zone_site(zone))
        return [row for row in rows if row["type"] not in ("NS", "SOA") or absolute(str(row["host"]), zone) != zone]

    def close_zone(self, zone: str) -> None:
        """Leave it: a zone goes with its site, which is taken back after it."""

    def change(self, zone: str, changes: Sequence[Change]) -> None:
        """Take away and add records one by one, in one packet; what went before a refusal is put back."""
        site_id = self._zone_site(zone)
        rows = self._rows(site_id)
        there = {one.id: set(one.values) for one in records.gathered(zone, rows)}
        gone, new = list[Native](), list[Native]()
        for was, becomes in changes:
            one = becomes or was
            assert one is not None
            held = there.get(one.id, set())
            wanted = set(becomes.values) if becomes else set()
            if was is None and held - wanted:
                raise RefusedError(f"{one.name} {one.type}: Plesk has another one there already", status=409)
            same = [row for row in rows if _of(zone, row) == (one.name, one.type)]
            gone += [row for row in same if not set(records.gathered(zone, [row])[0].values) & wanted]
            new += [records.record(zone, one, value) for value in sorted(wanted - held)]
        asked = [*map(_del_record, gone), *(records.add_record(site_id, row) for row in new)]
        self._all_or_nothing(asked, gone, site_id)

    def _all_or_nothing(self, asked: Sequence[Operation], gone: Sequence[Native], site_id: str) -> None:
        """Write these, and undo what was done of them where one is refused."""
        if not asked:
            return
        answers = self.api.write(asked)
        refused = next((one for some in answers for one in some or () if not one.ok), None)
        if refused is None:
            if any(some is None for some in answers):
                raise UnknownOutcomeError("dns: the answer does not speak of every record")
            return
        back: list[Operation] = []
        for (_, node), some in zip(asked, answers, strict=True):
            done = next((one for one in some or () if one.ok), None)
            if done is not None and node.tag == "add_rec":
                back.append(_del_record({"id": done.node.findtext("id")}))
        removed = [row for row, some in zip(gone, answers, strict=False) if some and some[0].ok]
        again = [{**row, "host": str(row["host"]).rstrip("."), "opt": row.get("opt") or ""} for row in removed]
        back += [records.add_record(site_id, {**row, "host": self._relative(site_id, row)}) for row in again]
        if back:
            self._carried_out(back, "dns: putting back what a refused change had begun")
        raise refused.refusal("dns")

    def _relative(self, site_id: str, row: Native) -> str:
        zone = next(one["name"] for one in self.sites() if one["id"] == site_id)
        host = str(row["host"]).rstrip(".").lower()
        return "" if host == zone else host.removesuffix(f".{zone}")

    def _carried_out(self, asked: Sequence[Operation], what: str) -> None:
        """Write what must not fail half way. Raises UnknownOutcomeError where it did."""
        if not asked:
            return
        for some in self.api.write(asked):
            if some is None or not all(one.ok or one.code in (ABSENT, EXISTS) for one in some):
                said = some[0].said if some else "no answer"
                raise UnknownOutcomeError(f"{what}: {said}")


def _del_record(row: Native) -> Operation:
    return operation("dns", "del_rec", el("filter", el("id", row["id"])))


def _of(zone: str, row: Native) -> tuple[str, str]:
    return absolute(str(row["host"]) or "@", zone), str(row["type"]).upper()
