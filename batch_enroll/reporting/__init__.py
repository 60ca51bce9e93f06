"""Results, summaries, console tables and progress of a run."""
