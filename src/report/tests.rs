//! One small report in every format.
