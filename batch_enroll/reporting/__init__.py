"""Stage 5, the REPORTER: outcomes become files and a table."""
