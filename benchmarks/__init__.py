"""Benchmarks: how fast and how flat a run is, as ratios measured in turn on this machine. `python -m benchmarks`."""
