//! Report → bytes: one file a format, pure functions.
