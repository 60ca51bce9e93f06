"""Stage 3: what happened to each row, remembered so that no row is sent twice and none is lost."""
