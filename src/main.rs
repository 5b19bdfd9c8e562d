//! The exit code of the library's main, nothing else.
fn main() {}
