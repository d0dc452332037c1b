"""Reasoner: the objects of a twin that answer a query, with the path that finds them (Eqs. 5-9)."""
