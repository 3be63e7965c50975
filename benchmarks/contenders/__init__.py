"""The programs that are measured, each run in a process of its own; `benchmarks.roster` says how.

They are given the provider, the base URL and the file or folder to write to, then the requests in flight where they
can choose, and their own options. What they import counts: they import nothing of the benchmark but each other.
"""
