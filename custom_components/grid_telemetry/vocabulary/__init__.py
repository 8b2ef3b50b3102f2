"""The words of the trade, without Home Assistant: quantities, units, data, ages and counters."""
