"""Before anything leaves: which input, which run, what it would send, and whether it may."""
