"""The site and its centre."""
