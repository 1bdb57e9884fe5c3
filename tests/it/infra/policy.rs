//! Infrastructure and program tell the same story: queues, tables, settings, roles, functions, timers.
