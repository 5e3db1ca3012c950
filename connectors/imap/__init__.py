"""Any mail server by IMAP, and the filters of its mailboxes by ManageSieve."""
