//! Inputs → one tally and their coverage: the parallel run over all of it.
