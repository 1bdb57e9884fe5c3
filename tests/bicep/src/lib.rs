//! Reads Bicep templates and parameter files, and checks them against the compiler's own types.
