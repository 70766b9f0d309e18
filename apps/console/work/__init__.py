"""Work across organizations as the operator sees it: queues, workers, and how much of both each organization has."""
