//! The documents of the demo's client, an outdoor-gear shop, and questions that they answer.

/// One page, in Markdown, headed by its title.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) file_name: &'static str,
    pub(super) text: &'static str,
}

macro_rules! pages {
    ($($file_name:literal),+ $(,)?) => {
        &[$(Page {
            file_name: $file_name,
            text: include_str!(concat!("../../demo/", $file_name)),
        }),+]
    };
}

/// The whole handbook.
pub(super) const PAGES: &[Page] = pages![
    "gift-cards.md",
    "membership.md",
    "orders-and-payment.md",
    "returns-and-refunds.md",
    "shipping-and-delivery.md",
    "sizing-guide.md",
    "stores-and-contact.md",
    "tent-care.md",
    "warranty-and-repairs.md",
];

/// Questions to begin with, each answered on one of the pages.
pub(super) const STARTERS: [&str; 4] = [
    "How long do I have to return boots I wore outside?",
    "What is the price of express shipping to Switzerland?",
    "Can I wash my tent in the washing machine?",
    "When do membership points expire?",
];

impl Page {
    /// The first heading.
    pub(super) fn title(&self) -> &'static str {
        self.text
            .lines()
            .find_map(|line| line.strip_prefix("# "))
            .unwrap_or(self.file_name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_page_of_the_folder_is_in_the_handbook_and_has_a_title() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".md"))
            .collect();
        let pages: BTreeSet<String> = PAGES.iter().map(|page| page.file_name.to_owned()).collect();
        assert_eq!(files, pages);
        for page in PAGES {
            assert_ne!(page.title(), page.file_name);
        }
    }

    #[test]
    fn the_first_questions_are_among_those_with_a_known_answer() {
        let questions = include_str!("../../demo/questions.json");
        let questions: serde_json::Value = serde_json::from_str(questions).unwrap();
        let known: Vec<&str> = questions
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["question"].as_str().unwrap())
            .collect();
        assert!(STARTERS.iter().all(|starter| known.contains(starter)));
    }
}
