"""Status file, metrics file, notifications and heartbeat of a run."""
