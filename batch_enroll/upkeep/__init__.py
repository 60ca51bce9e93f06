"""Between runs: history, resolving unknown rows, pruning, doctor, support."""
