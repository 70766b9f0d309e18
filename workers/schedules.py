"""What happens by the clock. Each task may run twice for one tick without harm."""

from typing import Any


def schedules(settings: Any) -> dict[str, dict[str, Any]]:
    return {
        "publish-lost-snapshots": every(5.0, "console.publish_lost_snapshots"),
        "publish-late-snapshots": every(60.0, "console.publish_late_snapshots"),
        "send-waiting-mails": every(5.0, "accounts.send_mails"),
        "deliver-webhooks": every(1.0, "notifications.deliver_webhooks"),
        "tend-signing": every(3600.0, "accounts.tend_signing"),
        "forget-old-answers": every(3600.0, "console.forget_old_answers"),
        "remove-expired-exports": every(3600.0, "console.remove_expired_exports"),
        "erase-due-organizations": every(3600.0, "console.erase_due_organizations"),
        "expire-trails": every(86400.0, "audit.expire_trails"),
        "forget-old-notifications": every(86400.0, "notifications.forget_old"),
        "tell-of-expiring-tokens": every(3600.0, "notifications.tell_of_expiring_tokens"),
        "make-partitions": every(3600.0, "usage.make_partitions"),
        "check-ledger": every(86400.0, "usage.check_ledger"),
        "restore-quotas": every(5.0, "usage.restore_quotas"),
        "correct-quotas": every(600.0, "usage.correct_quotas"),
        "tell-of-quotas": every(300.0, "usage.tell_of_quotas"),
        "restore-budgets": every(2.0, "gateway.restore_budgets"),
        "forget-old-model-calls": every(3600.0, "gateway.forget_old"),
        "forget-old-sessions": every(86400.0, "accounts.forget_old"),
    }


def every(seconds: float, task: str) -> dict[str, Any]:
    """A tick that no worker took before the next one is dropped, so that nothing piles up while none is there."""
    return {"task": task, "schedule": seconds, "options": {"expires": seconds}}
