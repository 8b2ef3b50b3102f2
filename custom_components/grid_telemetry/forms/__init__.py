"""What the forms of several links share: the flow of an entry, fields, and their validation."""
