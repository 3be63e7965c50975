"""Runs that are killed: at each step, at random, and in a model of the journal; what they leave goes on exactly."""
