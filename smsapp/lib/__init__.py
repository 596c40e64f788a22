"""Pure functions: phone numbers, texts, keywords, state machines. They import nothing of ours."""
