"""Golden dialogues as tests: run files of them, count what they cover, report to people and to build servers."""
