//! Files, pipes and directories → bytes. The only place that opens a log, and the only one with `unsafe`: the guarded map.
