"""The executor of many machines."""
