"""What the entities of several links share."""
