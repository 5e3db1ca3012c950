"""The commented ``migration.yaml`` that ``migrator init`` writes."""

from __future__ import annotations

from migrator import registry


def starter(project: str, source: str, destination: str) -> str:
    """Return the file's text for two vendors. Raises InputError for an unknown one."""
    sides = []
    for label, vendor in (("source", source), ("destination", destination)):
        manifest = registry.connector(vendor).manifest
        lines = [f"{label}:", f"  vendor: {vendor}", "  settings:" if manifest.settings else "  settings: {}"]
        lines += [f"    {name}: CHANGE-ME        # {what}" for name, what in manifest.settings.items()]
        where = "# where each is kept: env:VARIABLE or keyring:SERVICE/USER, never itself"
        lines += [f"  secrets:                     {where}" if manifest.secrets else "  secrets: {}"]
        named = list(manifest.secrets.items())
        lines += [f"    {name}: env:{vendor.upper()}_{name.upper()}   # {what}" for name, what in named[:1]]
        lines += [f"    # {name}: env:{vendor.upper()}_{name.upper()}   # {what}" for name, what in named[1:]]
        if manifest.channels:
            lines += [f"  # channels: [{', '.join(manifest.channels)}]   # keep more than the API does; see its page"]
        if manifest.quota.rules:
            plans = " | ".join(manifest.quota.rules[0].per_minute)
            lines += [f"  plan: {manifest.quota.default_plan}                 # {plans}: decides the quota"]
            lines += [
                "  share: 0.8                   # the part of the quota migrator may use; "
                "the rest is for your other integrations"
            ]
        sides.append("\n".join(lines))
    commands = "`migrator check`, `extract`, `plan`, `rehearse`, `load --plan DIGEST`, `verify`"
    return f"""# A migration from {source} to {destination}. Next: {commands}.
name: {project}

{sides[0]}

{sides[1]}

policies:
  people_without_seat: stand_in  # an agent nobody matches becomes a contact (stand_in), or is left to a person (manual)
  preface: true                  # original author, date and id stand above each message, where the vendor resets them

thresholds:                      # beyond these, `load` wants --accept-losses
  manual: 0.05                   # share of a kind that may be left to a person (and more than 10 records)
  dropped: 1.0                   # share of a kind in which a field may be dropped

# Only a part, or a part first: the rest comes with a later plan. `migrator plan --sample 20` is a demo migration.
# select:
#   where: {{status: [new, open, pending, hold], created_at: {{since: 2024-01-01}}}}
#   without: {{tags: [spam]}}
#   people: needed               # or all: people and firms that no selected record names come too

# Where the key is kept that seals the customer's secrets; without this, a file outside the workspace is made for it.
# key: keyring:migrator/{project}

# Your own choices of values, over ours. For example: a custom status of the destination (its id 6) that means "hold".
# overlay:
#   {destination}:
#     ticket:
#       status: {{values: {{6: hold}}, write: {{hold: 6}}}}
"""
