from apps.notifications.audience import Happening
from apps.notifications.services.inbox import forget_person, mark_all_read, mark_read, owner_of_inbox
from apps.notifications.services.notify import happening, notify, notify_all
from apps.notifications.services.preferences import set_preferences, unsubscribe

__all__ = [
    "Happening",
    "forget_person",
    "happening",
    "mark_all_read",
    "mark_read",
    "notify",
    "notify_all",
    "owner_of_inbox",
    "set_preferences",
    "unsubscribe",
]
