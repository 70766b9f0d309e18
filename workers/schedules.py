"""What happens by the clock. Each task may run twice for one tick without harm."""

from typing import Any


def schedules(settings: Any) -> dict[str, dict[str, Any]]:
    return {
        "publish-lost-snapshots": {"task": "console.publish_lost_snapshots", "schedule": 5.0},
        "forget-old-answers": {"task": "console.forget_old_answers", "schedule": 3600.0},
    }
