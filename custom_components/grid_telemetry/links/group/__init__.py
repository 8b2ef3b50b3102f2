"""Groups of meters: totals and differences."""
