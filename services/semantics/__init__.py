"""Semantics: granularity of a query and a description of each mask, both asked of a VLM (Eqs. 1 and 4)."""
