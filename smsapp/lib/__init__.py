"""Pure functions: phone numbers, texts, keywords, state machines. Nothing here imports other packages of the project.

Begin with `phone` (what is a valid recipient) and `text` (what a message costs).
"""
