"""What every store promises: one function for each promise."""
