"""Record sets of the engine as records of octoDNS, and back; octoDNS is imported when the first is made."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from migrator.connector import Native
from migrator.zones.records import RecordSet, normal, quoted, record_set, strings

from .texts import Dialect

TEXTS = ("TXT", "SPF")


@cache
def _text_record() -> Any:
    """Return the class of a TXT whose own words are ours, whichever property a provider takes them from."""
    from octodns.record.txt import TxtRecord

    class Text(TxtRecord):  # type: ignore[misc]
        ours: list[str] = []

        @property
        def chunked_values(self) -> list[str]:
            return self.ours

        @property
        def rr_values(self) -> list[str]:
            return self.ours

        def chunked_value(self, value: Any) -> str:
            return str(self.ours[self.values.index(value)])

        def _rdatas(self) -> list[str]:
            return self.ours

        _legacy_rdatas = _rdatas

    return Text


def zone_of(name: str) -> Any:
    """Return an empty zone of octoDNS."""
    from octodns.zone import Zone

    return Zone(name, [])


def to_record(zone: Any, one: RecordSet, dialect: Dialect) -> Any:
    """Return octoDNS's record of a set. Raises whatever octoDNS raises for what it cannot say."""
    from octodns.record import Record
    from octodns.record.rr import Rrset

    if one.type == "TXT":
        record = _text_record()(zone, zone.hostname_from_fqdn(one.name), {"ttl": one.ttl, "values": ["-"]})
        said = [b"".join(strings(value)) for value in one.values]
        record.values = [record._value_type(dialect.value(text)) for text in said]
        record.ours = [dialect.chunk(text) for text in one.texts()]
        return record
    return Record.from_rrset(zone, Rrset(one.name, one.type, one.ttl, one.texts()), lenient=True)


def to_set(zone: str, record: Any, dialect: Dialect) -> RecordSet:
    """Return the set of octoDNS's record. What answers by rules of the vendor says so under ``policy``."""
    type = str(record._type).rpartition("/")[2]
    beside: Native = {}
    if getattr(record, "dynamic", None):
        beside["policy"] = "octoDNS tells it as a dynamic record"
    elif getattr(record, "geo", None):
        beside["policy"] = "octoDNS tells it as a record by country"
    elif "/" in record._type:
        beside["policy"] = f"octoDNS tells it as {record._type}"
    if type in TEXTS and not isinstance(record, _text_record()):
        texts = [quoted(dialect.told(str(value))) for value in record.values]
    else:
        texts = list(_told(record))
    return record_set(zone, record.fqdn, type, record.ttl, texts, beside or None)


def _told(record: Any) -> Iterator[str]:
    try:
        yield from map(str, record.to_rrset().rdatas)  # it has texts of classes of its own
    except Exception:  # a provider's own type may have no such form at all
        yield from (str(value) for value in getattr(record, "values", None) or [record.value])


def spoiled(one: RecordSet, dialect: Dialect) -> str | None:
    """Tell what octoDNS itself would make of a set, None where it keeps it: said in its words, and read again."""
    try:
        record = to_record(zone_of(one.zone), one, dialect)
        if one.type == "TXT":
            return None  # judged by the dialect
        again = tuple(sorted(normal(one.type, text)[0] for text in record.to_rrset().rdatas))
    except Exception as err:  # what octoDNS's types raise is of many classes, and each means the same here
        return f"octoDNS cannot say it: {err}"[:300]
    return None if again == one.values else f"octoDNS would make {' / '.join(again)[:200]} of it"
