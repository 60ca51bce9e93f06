"""Stage 1, the LOADER: a file becomes rows of text, exactly as stored."""
