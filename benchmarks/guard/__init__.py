"""Whether this commit's engine does more work than the one before it, counted in instructions: `make guard`."""
