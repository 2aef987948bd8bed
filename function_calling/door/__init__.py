"""What stands before both services: HTTP, without a word of what they serve."""
