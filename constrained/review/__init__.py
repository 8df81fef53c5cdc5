"""Review: catalogs as people read and compare them: sheets, translations, lint, differences. Knows no dialogue."""
