//! One file a subcommand: arguments in, stages called, exit status out.
