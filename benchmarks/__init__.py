"""Benchmarks of speed and memory, as ratios measured alternately on one machine: `python -m benchmarks`."""
