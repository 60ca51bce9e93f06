"""A local stand-in of the platform, with its faults: what the tests and the demo talk to."""
