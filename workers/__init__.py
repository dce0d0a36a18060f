"""The Celery side: each module holds one task; only `outbound` speaks to the world."""
