"""What stands before both services: it sees each request first."""
