//! Every field of a booking, in every variant, comes back as it was.
