//! The experiments beside the frontier, as the page's tabs name them.

/// A panel of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Study {
    /// Both roads in numbers.
    #[default]
    Comparison,
    /// Win rate against temperature.
    WinRate,
    /// Alignment against size.
    Scaling,
    /// A reward model exploited.
    Hacking,
}

impl Study {
    /// Every panel, in the order of the tabs.
    pub const ALL: [Self; 4] = [Self::Comparison, Self::WinRate, Self::Scaling, Self::Hacking];

    /// What it is called in the ids of `index.html`.
    pub fn id(self) -> &'static str {
        match self {
            Self::Comparison => "comparison",
            Self::WinRate => "win-rate",
            Self::Scaling => "scaling",
            Self::Hacking => "hacking",
        }
    }

    /// The panel whose id this is.
    pub fn named(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|study| study.id() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_panel_is_found_by_its_id() {
        assert!(Study::ALL.iter().all(|study| Study::named(study.id()) == Some(*study)));
        assert_eq!(Study::named("frontier"), None);
    }
}
