"""What higher apps may want to know about organizations (receivers are listed in docs/signals.md)."""

from django.dispatch import Signal

# actor, action, subject, changes
action_taken = Signal()
