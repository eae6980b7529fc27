"""The other engines, each imported only in its own environment, which no type checker sees."""
