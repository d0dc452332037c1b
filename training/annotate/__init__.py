"""Annotation of Seg-DT by people (section 3.3's experts): a page that shows twin, image and query, and saves paths."""
