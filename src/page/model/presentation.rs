//! What a lecturer's address asks for beside settings: parts that are hidden, and larger type.

use crate::engine::settings::{Part, parts};
use klimb_text::Message;
use klimb_text::shorten::excerpt;
use std::collections::BTreeSet;

/// The parts of the page that can be hidden, by what an address calls them, and where they are in the document.
pub const PARTS: [(&str, &str); 13] = [
    ("setup", ".setup"),
    ("pipeline", ".pipeline"),
    ("numbers", ".numbers"),
    ("settings", "#settings"),
    ("files", "#files"),
    ("export", "#exports"),
    ("samples", "#samples"),
    ("annotator", ".annotator"),
    ("inside", "#inside"),
    ("curves", "#curves"),
    ("studies", "#studies"),
    ("clinic", "#clinic"),
    ("questions", ".questions"),
];

/// Where the keys 1 to 9 go.
pub const STOPS: [&str; 9] =
    [".pipeline", "#chart", ".numbers", "#samples", ".annotator", "#inside", "#curves", "#studies", "#clinic"];

/// How the page is shown to a room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Presentation {
    /// Indices into [`PARTS`].
    hidden: BTreeSet<usize>,
    /// Whether type is enlarged.
    pub is_large: bool,
}

impl Presentation {
    /// What a query asks for, what of that cannot be done, in words, and the rest of the query, which is about settings.
    pub fn from_query(query: &str) -> (Self, Vec<Message>, Vec<Part>) {
        let (mut presentation, mut problems, mut rest) = (Self::default(), Vec::new(), Vec::new());
        for (name, text) in parts(query) {
            match (name.as_str(), text.as_str()) {
                ("hide", names) => {
                    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                        match PARTS.iter().position(|(known, _)| known.eq_ignore_ascii_case(name)) {
                            Some(index) => {
                                presentation.hidden.insert(index);
                            }
                            None => {
                                let (name, known) = (excerpt(name), PARTS.map(|(name, _)| name).join(", "));
                                problems.push(message!("hide: “{}” is none of {}", name, known));
                            }
                        }
                    }
                }
                ("type", size) if size.eq_ignore_ascii_case("large") => presentation.is_large = true,
                ("type", other) => problems.push(message!("type: “{}” is not large", excerpt(other))),
                _ => rest.push((name, text)),
            }
        }
        (presentation, problems, rest)
    }

    /// The part of a query that gives this back.
    pub fn to_query(&self) -> String {
        let hidden: Vec<&str> = self.hidden.iter().map(|index| PARTS[*index].0).collect();
        let hide = (!hidden.is_empty()).then(|| format!("hide={}", hidden.join(",")));
        let large = self.is_large.then(|| "type=large".to_owned());
        hide.into_iter().chain(large).collect::<Vec<_>>().join("&")
    }

    /// Where the hidden parts are in the document.
    pub fn hidden(&self) -> impl Iterator<Item = &'static str> {
        self.hidden.iter().map(|index| PARTS[*index].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gives_the_presentation_back_and_leaves_settings_alone() {
        let (presentation, problems, rest) = Presentation::from_query("?seed=7&hide=files,setup&type=large&beta=0.1");
        let settings = [("seed", "7"), ("beta", "0.1")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!((problems, rest), (vec![], settings.to_vec()));
        assert_eq!(presentation.to_query(), "hide=setup,files&type=large");
        assert_eq!(presentation.hidden().collect::<Vec<_>>(), [".setup", "#files"]);
        assert_eq!(Presentation::from_query(&presentation.to_query()).0, presentation);
        let mangled = "HIDE=Files%252CSetup&amp;Type%3DLARGE&amp;seed=7";
        assert_eq!(Presentation::from_query(mangled).0, presentation, "as other programs hand it on");
    }

    #[test]
    fn what_cannot_be_done_is_named_and_the_rest_is_done() {
        let (presentation, problems, rest) = Presentation::from_query("hide=chart,,inside&type=huge&<script>");
        assert_eq!(presentation.to_query(), "hide=inside");
        assert_eq!(rest, [("<script>".to_owned(), String::new())]);
        assert!(
            problems[0].to_string().starts_with("hide: “chart” is none of setup, ")
                && problems[1].to_string().contains("huge"),
            "{problems:?}"
        );
    }
}
