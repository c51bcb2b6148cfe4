"""Data sets of the field: from a user's own copy to the folders that evaluations and trainings read."""
