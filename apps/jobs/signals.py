"""What higher apps may want to know about jobs (receivers are listed in docs/signals.md)."""

from django.dispatch import Signal

# job; sent inside the transaction that ends it, in its organization's scope
job_finished = Signal()
