"""What every request passes at the door of either service."""
