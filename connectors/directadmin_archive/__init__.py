"""A backup of a DirectAdmin account (user.CREATOR.NAME.tar.gz or .tar.zst), read as it lies: nothing is unpacked."""
