"""Stage 2: a row becomes a start request, or a list of problems."""
