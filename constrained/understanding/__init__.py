"""What a message meant: closed questions, the candidates that Python proposes for each, and what was picked.

``hearing`` (the ``Understanding`` and its fields), ``questions`` (kinds of question, and their answers),
``amounts`` and ``dates`` (numbers and days that a message says), ``names`` (things that it names), ``mentions`` (which of them it
takes back), ``words`` (the words of each language for all of that), ``patterns`` (texts of a given form).
"""
