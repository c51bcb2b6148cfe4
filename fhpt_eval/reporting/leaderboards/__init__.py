"""Runs side by side in one table, in the formats of papers, pages and spreadsheets."""
