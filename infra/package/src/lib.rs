//! The package: the zip that Azure runs, how it is made, and what must be true of it.
