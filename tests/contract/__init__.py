"""One suite a protocol, run against every implementation."""
