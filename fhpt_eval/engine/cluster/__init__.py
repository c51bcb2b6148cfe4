"""The executor of many machines, on Ray."""
