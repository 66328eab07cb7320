//! What is wrong with a value that somebody gave, field by field.

use serde::Serialize;

/// One field and what is wrong with it; the sentence is fit to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Violation {
    /// The field, as a path with dots: `theme.accent`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Collects violations while a value is examined.
#[derive(Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Notes a violation unless `holds`.
    pub fn require(&mut self, holds: bool, field: &str, message: &str) {
        if !holds {
            self.0.push(Violation {
                field: field.to_owned(),
                message: message.to_owned(),
            });
        }
    }

    /// Requires a text of at most `max` characters without NUL, which PostgreSQL cannot store.
    pub fn require_text(&mut self, text: &str, max: usize, field: &str) {
        let fits = text.chars().count() <= max && !text.contains('\0');
        self.require(
            fits,
            field,
            &format!("a text of at most {max} characters, without NUL"),
        );
    }

    /// `Ok` when nothing was noted.
    ///
    /// # Errors
    /// All that was noted.
    pub fn into_result(self) -> Result<(), Vec<Violation>> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.0)
        }
    }
}
