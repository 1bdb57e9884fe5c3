//! What the documents for the security reviewer say is what the code does.
