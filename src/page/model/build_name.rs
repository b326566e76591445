//! Which program and build this is, as files name it.

/// The commit that the page was built from, where the build knew it.
pub const BUILD: Option<&str> = option_env!("KLIMB_BUILD");

/// The program, as files name it.
pub fn program() -> String {
    format!("klimb {}", env!("CARGO_PKG_VERSION"))
}
