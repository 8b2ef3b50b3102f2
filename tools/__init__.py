"""Tools for development: pictures of the pages, the browser behind them, register tables."""
