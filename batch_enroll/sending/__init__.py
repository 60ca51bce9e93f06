"""Stage 4: a start request becomes an outcome: client, classification, retry, pace, breaker and the WORKER POOL."""
