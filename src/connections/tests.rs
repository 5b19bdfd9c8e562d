//! What a join must not get wrong.
