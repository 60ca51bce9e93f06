"""What a run tells those who do not watch it: status file, metrics, notifications, heartbeat."""
