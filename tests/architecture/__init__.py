"""The shape of the code, and what holds for every route: who may call it, and what it asks the database."""
