"""Tests against the sandbox; a package so that they share `exporting`."""
