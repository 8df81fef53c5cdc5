"""Conversations that wait for a person: the queue, replies from the catalog, what customers and programs are told."""
