"""Makes what is deployed become what is wanted: starts, watches and stops replicas, one leader at a time."""
