"""Runs jobs: a parent that watches over processes, each of which takes one job after the other."""
