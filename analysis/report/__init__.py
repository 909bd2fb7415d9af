"""One self-contained page about a study: the verdict first, then everything that it rests on."""
