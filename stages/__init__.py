"""What DVC runs: one script a stage, `python -m stages.<name>`."""
