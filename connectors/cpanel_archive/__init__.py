"""An archive of a cPanel account (cpmove, full backup), read as it lies: nothing is unpacked."""
