//! Every template and parameter file, checked against the compiler's own types.
