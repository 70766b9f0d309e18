"""Benchmarks, run by hand: `make bench NAME=serving`. Never part of the tests."""
