//! The rows of a form in which headers are given. Values go in and never come out again, not even
//! those of a form that was refused.

use std::collections::BTreeMap;

use secrecy::SecretString;
use stoa_domain::violation::Violations;

use super::super::form::Fields;

/// Rows for headers beside those that are stored. Whoever needs more saves, and gets as many again.
const NEW_ROWS: usize = 3;
/// More rows than there may be headers, so that the refusal names the limit.
const MOST_ROWS: usize = 40;

/// What is to become of headers: one with a value is set, one without is removed, others stay.
pub(super) type HeaderChanges = BTreeMap<String, Option<SecretString>>;

/// The headers of a form.
pub(super) struct HeaderRows {
    pub(super) rows: Vec<HeaderRow>,
    /// Whether a value was typed, which a refused form does not give back.
    pub(super) typed_a_value: bool,
}

/// A header, or room for one.
pub(super) struct HeaderRow {
    pub(super) number: usize,
    pub(super) name: String,
    /// The last characters of the stored value; `None` where nothing is stored.
    pub(super) hint: Option<String>,
    pub(super) removed: bool,
}

impl HeaderRows {
    /// What is stored, each by its name and the last characters of its value.
    pub(super) fn of(stored: &[(String, String)]) -> Self {
        let rows = stored.iter().map(|(name, hint)| HeaderRow {
            number: 0,
            name: name.clone(),
            hint: Some(hint.clone()),
            removed: false,
        });
        Self {
            rows: with_room(rows.collect()),
            typed_a_value: false,
        }
    }

    /// The rows as they were sent, without their values, and what they ask for.
    pub(super) fn read(fields: &mut Fields, wrong: &mut Violations) -> (Self, HeaderChanges) {
        let (mut rows, mut changes) = (Vec::new(), HeaderChanges::new());
        for number in 0..MOST_ROWS {
            let row = HeaderRow::read(fields, number);
            let value = fields.take(&format!("header_value_{number}"));
            if row.name.is_empty() {
                wrong.require(value.is_empty(), "headers", "a value stands without a name");
                continue;
            }
            let name = row.name.clone();
            let change = match (row.removed, value.is_empty()) {
                (true, _) => Some(None),
                (false, false) => Some(Some(SecretString::from(value))),
                (false, true) if row.hint.is_some() => None,
                (false, true) => {
                    wrong.require(false, "headers", &format!("{name} has no value"));
                    None
                }
            };
            if let Some(change) = change {
                let before = changes.insert(name.clone(), change);
                let sentence = format!("{name} is given twice");
                wrong.require(before.is_none(), "headers", &sentence);
            }
            rows.push(row);
        }
        let rows = Self {
            rows: with_room(rows),
            typed_a_value: changes.values().any(Option::is_some),
        };
        (rows, changes)
    }
}

impl HeaderRow {
    fn read(fields: &mut Fields, number: usize) -> Self {
        let name = fields.take(&format!("header_name_{number}"));
        let hint = fields.take(&format!("header_hint_{number}"));
        Self {
            number,
            name: name.trim().to_owned(),
            hint: (!hint.is_empty()).then_some(hint),
            removed: fields.ticked(&format!("header_remove_{number}")),
        }
    }
}

fn with_room(mut rows: Vec<HeaderRow>) -> Vec<HeaderRow> {
    let new = rows.iter().filter(|row| row.hint.is_none()).count();
    rows.extend((new..NEW_ROWS).map(|_| HeaderRow {
        number: 0,
        name: String::new(),
        hint: None,
        removed: false,
    }));
    for (number, row) in rows.iter_mut().enumerate() {
        row.number = number;
    }
    rows
}
