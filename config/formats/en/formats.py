"""How times are written where no page says it: in the operator's console, with their zone."""

DATETIME_FORMAT = "Y-m-d H:i:s T"
