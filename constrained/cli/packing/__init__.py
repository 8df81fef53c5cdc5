"""What ``constrained pack`` puts into a folder that runs without Python: parts, executable, licences."""
