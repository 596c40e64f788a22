"""A message on its way, for tests: rounds of the pipeline, its single steps, and what must then add up."""
