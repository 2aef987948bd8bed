"""What a request meets before a service does."""
