"""Job file, profiles, environment, flags and secrets become one frozen `Job`."""
