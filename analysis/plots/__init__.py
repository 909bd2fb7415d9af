"""Figures of a study, one to a module; `catalogue` lists them, `style` says how all of them look."""
