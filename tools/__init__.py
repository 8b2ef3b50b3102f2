"""Tools for development: pictures of the pages, and the browser that takes them."""
