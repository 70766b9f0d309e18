"""What the drills' kinds and the checker have in common; the tests' own process does not load the kinds."""

METER = "drill"
OUTSIDE = "drill.outside"
# Each leaves one event of the meter in the transaction of its success.
EFFECTIVE = ["drill.sleep", "drill.flaky", "drill.killed", "drill.deaf"]
