"""Forms of the wizard, of recurring campaigns and of templates."""
