"""The suites: a module each, with ``run(bench)``; its name is what ``python -m benchmarks`` is given."""
