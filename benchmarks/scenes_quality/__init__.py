"""`make eval-scenes`: how good a stack is on held-out scenes, what each choice is worth, and where it loses."""
