//! What was wrong with a form, to be shown at its fields.

use axum::http::StatusCode;

use super::super::error::PageError;
use crate::http::problem::Problem;

/// Does what a form asks for, unless something was wrong with what was typed.
///
/// # Errors
/// What was wrong with it, or why it could not be done.
pub(super) async fn carry_out<C, T, E, F>(
    asked_for: Result<C, Problem>,
    use_case: impl FnOnce(C) -> F,
) -> Result<T, Problem>
where
    E: Into<Problem>,
    F: Future<Output = Result<T, E>>,
{
    use_case(asked_for?).await.map_err(Into::into)
}

/// The fields of a form that something can be wrong with: the name and what people call it.
pub(super) type Labels = &'static [(&'static str, &'static str)];

/// What was wrong with a form, if anything.
#[derive(Default)]
pub(super) struct Refusal {
    status: StatusCode,
    sentence: String,
    lines: Vec<Line>,
}

/// One field and what is wrong with it.
pub(super) struct Line {
    pub(super) field: &'static str,
    pub(super) label: &'static str,
    pub(super) message: String,
}

impl Refusal {
    /// A problem that whoever filled in the form can mend. Any other is a page of its own.
    pub(super) fn of_problem(problem: Problem, labels: Labels) -> Result<Self, PageError> {
        let mendable = matches!(
            problem.status(),
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT
        );
        if !mendable || problem.code() == "database_not_set" {
            return Err(problem.into());
        }
        let lines: Vec<_> = problem
            .errors()
            .iter()
            .filter_map(|wrong| Line::of(&wrong.field, &wrong.message, labels))
            .collect();
        // What no field can show has to be in the sentence.
        let all_shown = !lines.is_empty() && lines.len() == problem.errors().len();
        Ok(Self {
            status: problem.status(),
            sentence: if all_shown {
                "Nothing was saved. Look at what is marked, and send the form again.".to_owned()
            } else {
                problem.detail().to_owned()
            },
            lines,
        })
    }

    /// Whether there is one.
    pub(super) const fn is_some(&self) -> bool {
        !self.sentence.is_empty()
    }

    /// The status of the page that shows it.
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    /// What happened.
    pub(super) fn sentence(&self) -> &str {
        &self.sentence
    }

    /// Each thing that is wrong.
    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// What is wrong with a field, in one text.
    pub(super) fn at(&self, field: &str) -> Option<String> {
        let found = self.lines.iter().filter(|line| line.field == field);
        let messages: Vec<_> = found.map(|line| line.message.as_str()).collect();
        (!messages.is_empty()).then(|| messages.join("; "))
    }
}

impl Line {
    /// `parameters.properties.a` is shown at `parameters`, and says where in it.
    fn of(field: &str, message: &str, labels: Labels) -> Option<Self> {
        labels.iter().find_map(|&(name, label)| {
            let rest = field.strip_prefix(name)?;
            let message = match rest.strip_prefix('.') {
                Some(inside) => format!("{inside}: {message}"),
                None if rest.is_empty() => message.to_owned(),
                None => return None,
            };
            Some(Self {
                field: name,
                label,
                message,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stoa_domain::Violation;

    const LABELS: Labels = &[("name", "Name"), ("headers", "Headers")];

    fn wrong(fields: &[(&str, &str)]) -> Problem {
        let violations = fields.iter().map(|(field, message)| Violation {
            field: (*field).to_owned(),
            message: (*message).to_owned(),
        });
        Problem::invalid(violations.collect())
    }

    #[test]
    fn each_thing_is_shown_at_its_field() {
        let problem = wrong(&[
            ("headers.Host", "not yours"),
            ("headers", "too many"),
            ("name", "short"),
        ]);
        let refusal = Refusal::of_problem(problem, LABELS).unwrap();
        assert_eq!(refusal.at("headers").unwrap(), "Host: not yours; too many");
        assert_eq!(refusal.at("name").unwrap(), "short");
        assert_eq!(refusal.at("url"), None);
        assert!(refusal.sentence().starts_with("Nothing was saved"));
        assert_eq!(refusal.status(), 422);
        assert!(refusal.is_some() && !Refusal::default().is_some());
    }

    #[test]
    fn what_has_no_field_is_said_in_the_sentence() {
        let refusal =
            Refusal::of_problem(wrong(&[("names", "no field of this form")]), LABELS).unwrap();
        assert!(refusal.sentence().contains("no field of this form"));
        assert!(refusal.lines().is_empty());
    }

    #[test]
    fn what_nobody_can_mend_here_is_a_page_of_its_own() {
        for status in [503, 500, 401] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(Refusal::of_problem(Problem::new(status, "x", "x"), LABELS).is_err());
        }
    }
}
