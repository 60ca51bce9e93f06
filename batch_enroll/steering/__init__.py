"""Other terminals and a run that goes: pause, resume, stop, another pace."""
