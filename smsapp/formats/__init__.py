"""How the console and the pages write times and dates, by language."""
