//! The package: unpacked as it is, started by the host, and a notification runs through it to a booking.
