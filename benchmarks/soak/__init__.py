"""`python -m benchmarks.soak`: workers that are killed at random instants for minutes, and what that costs: nothing."""
