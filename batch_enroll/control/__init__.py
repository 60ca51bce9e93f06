"""Runtime control of a run from another process: pause, resume, set the rate, stop."""
