"""`python -m runner advise`: should speculation be on for this target, with which draft and which gamma?

Pure parts (`replay`, `costs`, `predict`, `breakeven`) hold the mathematics; `measure` asks a loaded pair;
`advice` decides; `command`, `request` and `render` talk to the user.
"""
