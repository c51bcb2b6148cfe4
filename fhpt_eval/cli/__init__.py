"""The ``fhpt-eval`` command: one module a sub-command. Nothing heavy is imported before it is needed."""
