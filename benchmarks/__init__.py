"""What the library costs and how well it chooses: suites of measurements, one contract, results kept beside them."""
