"""Steps that span turns: a coroutine that asks, tells and performs, and goes on where it stood.

``procedure`` (the decorator), ``steps`` (what is awaited), ``run`` (the coroutine, brought back by its recorded events),
``policy_procedures`` (those of one policy, and where a conversation stands in them), ``offers`` (what they say next).
"""
