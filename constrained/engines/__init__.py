"""Where a model runs, one file each. Importing this package imports no model runtime."""
