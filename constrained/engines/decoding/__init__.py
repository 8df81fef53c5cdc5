"""How a choice is decoded: tokens, trie, language model, scoring, rules. The only part that computes with torch."""
