"""Work between runs: history, resolving unknown rows, pruning, doctor, support bundle."""
