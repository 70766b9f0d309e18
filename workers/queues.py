"""The named queues: slow work of one kind does not stand in front of quick work of another."""

from kombu import Queue

DEFAULT = "default"
QUEUES = [Queue(name) for name in (DEFAULT, "notify", "errands")]
