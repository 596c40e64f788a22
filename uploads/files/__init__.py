"""A file becomes recipients: screened, stored, inspected, parsed, read in slices.

Begin with `reading.py`.
"""
