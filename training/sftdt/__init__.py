"""SFTDT (section 3.4, Eq. 10): tunes a language model to write the reasoning paths of Seg-DT, as a LoRA adapter."""
