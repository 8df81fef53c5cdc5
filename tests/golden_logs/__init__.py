"""Records, a bundle and a database as the library wrote them on one day, and tests that it still reads and writes the same."""
