"""What the controlled suites found: each sets one cause at a time (issue 4). One module, one table, one suite."""
