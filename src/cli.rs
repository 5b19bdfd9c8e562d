//! Arguments and help, no logic.
