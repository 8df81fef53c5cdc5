"""The command line, one file per command. Nothing else in the library knows it."""
