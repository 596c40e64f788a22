"""What happened, in numbers: `rollup.py` adds the pipeline's changes up, `selectors/` read."""
