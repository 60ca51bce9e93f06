"""While rows go and right after: preflight, sending, the canary, the report, the archive."""
