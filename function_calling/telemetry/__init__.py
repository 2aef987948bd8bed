"""What the services show of themselves: metrics, spans, and whose request a log line is about."""
