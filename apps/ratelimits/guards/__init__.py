"""What limits strangers: the installation's own limits, for everybody and before anybody is known."""
