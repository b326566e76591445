//! The parts of an address as other programs hand it on: mail and chats escape it, and add names of their own.

use super::knobs::KNOBS;
use klimb_text::ConfigError;
use klimb_text::shorten::excerpt;

/// Names in an address that are the page's own.
const OF_THE_PAGE: [&str; 2] = ["hide", "type"];

/// The name and the text of a part of a query, such as `beta=0%2E1`, as they were before anybody escaped them. Blanks around
/// them go, and so does what is left of an `&` that was escaped for a document.
pub fn decoded(part: &str) -> (String, String) {
    let (name, text) = form_urlencoded::parse(part.as_bytes()).next().unwrap_or_default();
    let name = name.trim();
    let name = name.strip_prefix("amp;").unwrap_or(name);
    (name.to_owned(), text.trim().to_owned())
}

/// The error about a name that is meant to be one of ours; `None` where it is another program's.
pub fn misspelled(name: &str) -> Option<ConfigError> {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '_', ' '], "");
    // Long names are other programs': the distance costs their square.
    let given = (name.len() <= 40).then(|| plain(name))?;
    let distance = |known: &&str| strsim::osa_distance(&given, &plain(known));
    let known = KNOBS.iter().map(|knob| knob.name).chain(OF_THE_PAGE).min_by_key(distance)?;
    // One letter of a short name, two of a long one.
    let near = if known.len() < 7 { 1 } else { 2 };
    (distance(&known) <= near).then(|| {
        let name = excerpt(name);
        ConfigError::new("address", format!("there is no setting called “{name}”, but one called {known}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_blanks_go() {
        for (part, name, text) in [
            ("hide=setup%2Cnumbers", "hide", "setup,numbers"),
            ("beta=0%2E1", "beta", "0.1"),
            ("amp;beta=+0.1%20", "beta", "0.1"),
            ("b%65ta=1", "beta", "1"),
            ("seed", "seed", ""),
            ("seed=%zz%e9", "seed", "%zz\u{fffd}"),
            ("=", "", ""),
            ("", "", ""),
        ] {
            assert_eq!(decoded(part), (name.to_owned(), text.to_owned()), "{part}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_named_and_what_others_add_is_not() {
        for (name, known) in [
            ("bata", "beta"),
            ("Beta", "beta"),
            ("learning-rate", "learning_rate"),
            ("learnignrate", "learning_rate"),
            ("sed", "seed"),
            ("hid", "hide"),
            ("evaluation_sample", "evaluation_samples"),
        ] {
            let told = misspelled(name).unwrap_or_else(|| panic!("{name} is passed over")).to_string();
            assert!(told.contains(known) && told.contains(name), "{told}");
        }
        let long = "x".repeat(100_000);
        for name in [
            "fbclid",
            "gclid",
            "utm_source",
            "utm_medium",
            "utm_campaign",
            "utm_content",
            "utm_term",
            "igshid",
            "si",
            "ref",
            "mc_cid",
            "mc_eid",
            "msclkid",
            "_ga",
            "lang",
            "v",
            "time",
            "",
            "<script>",
            &long,
        ] {
            assert_eq!(misspelled(name), None, "{name:.20}");
        }
    }
}
