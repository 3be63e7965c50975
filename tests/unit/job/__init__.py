"""Tests of the engine's decisions; a package so that they share `servers`."""
