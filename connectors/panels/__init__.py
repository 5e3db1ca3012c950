"""What hosting panels share: forwarders in Exim's words, crontabs, certificates, a check's attempts, a time zone."""
