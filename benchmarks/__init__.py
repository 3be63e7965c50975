"""What is fast and what it costs, measured: `python -m benchmarks`. Nothing here is part of the package."""
