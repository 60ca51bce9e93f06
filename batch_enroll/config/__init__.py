"""Everything that is set for a run: job file, profiles, environment and secrets become one frozen `Job`."""
