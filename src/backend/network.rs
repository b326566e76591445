//! The transformer as a list of kernel calls.
