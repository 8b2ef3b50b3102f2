"""A connection that is kept, what goes wrong with it, and how the user sees that."""
