from apps.notifications.services.inbox import forget_person, mark_all_read, mark_read, owner_of_inbox
from apps.notifications.services.notify import notify
from apps.notifications.services.preferences import set_preferences, unsubscribe

__all__ = [
    "forget_person",
    "mark_all_read",
    "mark_read",
    "notify",
    "owner_of_inbox",
    "set_preferences",
    "unsubscribe",
]
