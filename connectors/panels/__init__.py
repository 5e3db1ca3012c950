"""What hosting panels share: the words of Exim's forwarders, crontabs, certificates."""
