"""Tests of single calls; a package so that they share `desk`."""
