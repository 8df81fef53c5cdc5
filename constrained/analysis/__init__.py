"""Pictures of policies and procedures: steps, conditions, responses and effects, with what dialogues or traffic came to."""
