"""Help Scout: its rules only, and those it does not hand out."""
