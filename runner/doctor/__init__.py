"""Says before a study starts whether its numbers would be worth anything, and what to do if not."""
