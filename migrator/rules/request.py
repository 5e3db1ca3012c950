"""The letter that asks a vendor for the rules it does not hand out, by the EU Data Act."""

from __future__ import annotations

from collections.abc import Sequence

MOST = 40  # rules named one by one
# Regulation (EU) 2023/2854, in force for these duties since 12 September 2025 (Article 50); summaries read 2026-11.
LETTER = """\
To the privacy or legal team of {vendor}

Export of our exportable data and digital assets: automation rules

We are switching to another provider of data processing services. Under Articles 23 and 25 of Regulation (EU) 2023/2854
(Data Act), which applies since 12 September 2025, you are to let us port all our exportable data and digital assets,
and under Article 30 to export exportable data in a commonly used and machine-readable format.

Your API does not give us what the following rules of our account ask and do:
{rules}

Please send us, for each of them and for any other rule, macro, view, SLA policy and workflow of our account: its
conditions, its actions with all their values and texts, its order and whether it is switched on, in JSON or a similar
format, together with a description of the format. Please do not include passwords and tokens; name the places where
they stand.

We are the customer of the account {account}. Please confirm that you received this and when the export will be there.
"""


def export_request(vendor: str, rules: Sequence[str]) -> str:
    """Return the letter, ready to be signed; rules are named as the vendor lists them. It is no legal advice."""
    named = [f"- {name or '(no name)'}" for name in rules[:MOST]]
    if len(rules) > MOST:
        named.append(f"- and {len(rules) - MOST} more")
    return LETTER.format(vendor=vendor, rules="\n".join(named), account="[your account's name]")
