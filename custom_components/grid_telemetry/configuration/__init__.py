"""Configuration as data: one file describes a site, and its entries are made by their forms."""
