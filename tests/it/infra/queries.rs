//! The operators' queries ask for what the handler really logs.
