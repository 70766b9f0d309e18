"""Whether the installation works, as seen by its own probes: for people, for programs and for Prometheus."""
