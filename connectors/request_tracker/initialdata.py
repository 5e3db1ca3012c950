"""Request Tracker's own import file: custom fields and where they apply, and scrips, which its API cannot write."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from migrator.connector import Native
from migrator.errors import RefusedError, UnknownOutcomeError

SECONDS = 300
OF = {"ticket": "RT::Queue-RT::Ticket", "contact": "RT::User", "article": "RT::Class-RT::Article"}
MARK = "migrator-scrips:"
# In the file's Perl form, because its JSON form only adds. The marked line is what we read.
LISTED = f"""@Final = (sub {{
  my $scrips = RT::Scrips->new(RT->SystemUser); $scrips->UnLimit; my @on;
  while (my $scrip = $scrips->Next) {{ push @on, $scrip->Id unless $scrip->Disabled }}
  print STDOUT "\\n{MARK} @on\\n";
}}); 1;
"""
SWITCHED = """@Final = (sub {
  my %%on = map { $_ => 1 } (%s); my $scrips = RT::Scrips->new(RT->SystemUser); $scrips->UnLimit;
  $scrips->{'find_disabled_rows'} = 1;
  while (my $scrip = $scrips->Next) { my $off = %s; $scrip->SetDisabled($off) if $scrip->Disabled != $off }
}); 1;
"""


class Initialdata:
    """Runs the command that inserts a file, which is its last word."""

    def __init__(self, command: str) -> None:
        self.command = shlex.split(command)

    def field(self, payload: Native, applies_to: str) -> None:
        """Add a custom field that applies everywhere. Raises UnknownOutcomeError, RefusedError."""
        kind, _, most = str(payload["Kind"]).partition("-")
        field: dict[str, Any] = {
            "Name": payload["Name"],
            "Description": payload.get("Description", ""),
            "Type": kind,
            "MaxValues": int(most),
            "LookupType": OF[applies_to],
            "ApplyTo": [0],
        }
        if payload.get("Values"):
            field["Values"] = [
                {"Name": one["Name"], "SortOrder": place} for place, one in enumerate(payload["Values"], 1)
            ]
        self._insert(json.dumps({"CustomFields": [field]}), ".json")

    def scrips(self) -> list[int]:
        """Return the numbers of the scrips that are on."""
        said = self._insert(LISTED, ".pl")
        found = re.search(rf"^{MARK}([ \d]*)$", said, re.MULTILINE)
        if not found:
            raise RefusedError("the import command did not tell which scrips are on", answer=said[-1000:])
        return [int(number) for number in found[1].split()]

    def switch(self, on: list[int] | None) -> None:
        """Switch every scrip off, or those named on (the others stay)."""
        numbers = ", ".join(str(int(number)) for number in on or ())
        self._insert(SWITCHED % (numbers, "1" if on is None else "$on{$scrip->Id} ? 0 : $scrip->Disabled"), ".pl")

    def run(self, script: str) -> str:
        """Carry out a file of Perl; return what it said."""
        return self._insert(script, ".pl")

    def _insert(self, text: str, ending: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"migrator{ending}"
            file.write_text(text, encoding="utf-8")
            try:
                ran = subprocess.run(
                    [*self.command, str(file)], capture_output=True, text=True, timeout=SECONDS, check=False
                )
            except subprocess.TimeoutExpired as err:
                raise UnknownOutcomeError(f"the import command took more than {SECONDS} s") from err
            except OSError as err:
                raise RefusedError(f"the import command did not run: {err}") from err
        said = ran.stdout + ran.stderr
        if ran.returncode:
            raise RefusedError(f"the import command ended with {ran.returncode}", answer=said[-4000:])
        return said
