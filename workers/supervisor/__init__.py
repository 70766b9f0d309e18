"""One command that brings everything up on a bare machine, keeps it up and takes it down again."""
