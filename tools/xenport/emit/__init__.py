"""Emitters: an ABI as source text in several languages."""
