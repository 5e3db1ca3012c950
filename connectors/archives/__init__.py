"""Archives of hosting accounts, read where they lie, whichever panel packed them; nothing is unpacked to the disk."""
