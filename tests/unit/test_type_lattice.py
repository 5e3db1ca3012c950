"""A custom field's type is kept or widened on every way in: the new one takes every value that the old one held."""

from __future__ import annotations

import pytest

from migrator import registry

# Each type to those that hold all its values. A long text fits a short one only where the vendor has no longer one.
WIDER: dict[str, set[str]] = {
    "checkbox": {"dropdown", "text", "textarea"},
    "integer": {"decimal", "text", "textarea"},
    "decimal": {"text", "textarea"},
    "date": {"text", "textarea"},
    "dropdown": {"multiselect", "text", "textarea"},
    "multiselect": {"text", "textarea"},
    "regexp": {"text", "textarea"},
    "lookup": {"text", "textarea"},
    "card": {"text", "textarea"},
    "text": {"textarea"},
    "html": {"textarea"},
    "textarea": set(),
}
VENDORS = sorted(
    name
    for name in registry.vendors()
    if registry.connector(name).manifest.canonical == "help_desk"
    and any(
        write.kind == "custom_field" and write.create
        for part in (registry.connector(name).manifest, *registry.connector(name).manifest.channels.values())
        for write in part.writes
    )
)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_custom_field_s_type_is_kept_or_widened(vendor: str) -> None:
    seen = 0
    for variant in registry.connector(vendor).mapping.kinds["custom_field"]:
        verb = variant.fields["type"]
        read = {str(native): str(ours) for native, ours in (verb.values or {}).items()}
        for ours, native in verb.back().items():
            becomes = read[str(native)]
            wide = WIDER[ours] | ({"text"} if "textarea" not in read.values() else set())
            assert becomes == ours or becomes in wide, f"{variant.name}: {ours} becomes {becomes}"
            seen += 1
    assert seen > 5
