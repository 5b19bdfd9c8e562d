//! A tally as CSV (SEMANTICS 5): written whole, read strictly. A file without its `#end` row is torn, and refused by name.
