"""Mutation of the library: one operator, constant or statement changed at a time, and the tests that reach it run."""
