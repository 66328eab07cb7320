//! Bringing a client's database up to date: all of it in one transaction, or nothing.
//!
//! The list of migrations is a value. A program carries the shipped one; tests and figures append
//! to it what has not been released yet.

mod apply;
mod trouble;

use std::{borrow::Cow, fmt::Write as _, sync::Arc};

use sha2::{Digest, Sha256};

pub(crate) use apply::{Order, Patience, migrate};
pub use trouble::SchemaTrouble;

/// The schema version that this program writes. It works with the one before and with the one
/// after as well.
pub const SCHEMA_VERSION: i32 = 4;

/// Every released migration in order: its name and its SQL.
const SHIPPED: [(&str, &str); SCHEMA_VERSION as usize] = [
    (
        "first_tables",
        include_str!("../../migrations/0001_first_tables.sql"),
    ),
    (
        "versions_and_summaries",
        include_str!("../../migrations/0002_versions_and_summaries.sql"),
    ),
    (
        "tools_budgets_costs",
        include_str!("../../migrations/0003_tools_budgets_costs.sql"),
    ),
    (
        "checks_of_a_turn",
        include_str!("../../migrations/0004_checks_of_a_turn.sql"),
    ),
];
const BEFORE: &str = include_str!("../../migrations/before.sql");
const AFTER: &str = include_str!("../../migrations/after.sql");

/// One step from a schema version to the next.
#[derive(Debug, Clone)]
pub struct Migration {
    /// The version that it leads to.
    pub version: i32,
    /// What it does, in a word or two.
    pub name: Cow<'static, str>,
    /// Its statements.
    pub sql: Cow<'static, str>,
    checksum: [u8; 32],
}

/// All steps from nothing to the latest schema, numbered from 1 without a gap. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Migrations(Arc<[Migration]>);

/// What was done to a database's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaChange {
    /// The version that was found; 0 where there was none.
    pub from: i32,
    /// The version that is there now.
    pub to: i32,
}

/// How a database's schema stands to what this program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The latest, or the one after it: a newer program was here, and what it did is additive.
    Current,
    /// The one before the latest: to be brought up to date, and usable as it is.
    OneBehind,
    /// Older, or none yet: not usable as it is.
    TooOld,
    /// From a future that this program cannot know.
    TooNew,
}

impl Migrations {
    /// Those that this program was released with.
    #[must_use]
    pub fn shipped() -> Self {
        let none = Self(Arc::default());
        SHIPPED
            .iter()
            .fold(none, |list, &(name, sql)| list.with(name, sql))
    }

    /// The same and one more.
    #[must_use]
    pub fn with(
        &self,
        name: impl Into<Cow<'static, str>>,
        sql: impl Into<Cow<'static, str>>,
    ) -> Self {
        let sql = sql.into();
        let next = Migration {
            version: self.latest() + 1,
            name: name.into(),
            checksum: Sha256::digest(sql.as_bytes()).into(),
            sql,
        };
        Self(self.0.iter().cloned().chain([next]).collect())
    }

    /// The version that all of them lead to.
    #[must_use]
    pub fn latest(&self) -> i32 {
        self.0.last().map_or(0, |last| last.version)
    }

    /// The oldest version that a chat can be served from.
    #[must_use]
    pub fn oldest_usable(&self) -> i32 {
        (self.latest() - 1).max(1)
    }

    /// The newest version that a chat can be served from.
    #[must_use]
    pub fn newest_usable(&self) -> i32 {
        self.latest() + 1
    }

    /// Those that lead on from `version`.
    pub fn after(&self, version: i32) -> impl Iterator<Item = &Migration> {
        self.0.iter().filter(move |it| it.version > version)
    }

    /// All SQL that is run in a database at `version`, in order, to be read by people. The rows in
    /// which Stoa keeps account of it (`stoa.schema_migrations`, `stoa.stoa_instance`) are not in it.
    #[must_use]
    pub fn script(&self, version: i32) -> String {
        let mut script = String::from("BEGIN;\n");
        let mut part = |title: &str, sql: &str| {
            // Writing to a string does not fail.
            let _ = write!(script, "\n-- {title}\n\n{}\n", sql.trim());
        };
        part("Before any migration", BEFORE);
        for it in self.after(version) {
            part(&format!("Migration {}: {}", it.version, it.name), &it.sql);
        }
        part("After any migration", AFTER);
        script.push_str("\nCOMMIT;\n");
        script
    }

    pub(crate) fn standing(&self, version: Option<i32>) -> Standing {
        match version {
            None => Standing::TooOld,
            Some(it) if it > self.newest_usable() => Standing::TooNew,
            Some(it) if it >= self.latest() => Standing::Current,
            Some(it) if it >= self.oldest_usable() => Standing::OneBehind,
            Some(_) => Standing::TooOld,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_migrations_lead_to_the_version_that_is_named() {
        let shipped = Migrations::shipped();
        assert_eq!(shipped.latest(), SCHEMA_VERSION);
        let versions: Vec<i32> = shipped.after(0).map(|it| it.version).collect();
        assert_eq!(versions, (1..=SCHEMA_VERSION).collect::<Vec<_>>());
    }

    #[test]
    fn one_version_before_and_one_after_are_usable_and_no_others() {
        let list = ["a", "b", "c"]
            .iter()
            .fold(Migrations(Arc::default()), |list, name| {
                list.with(*name, "")
            });
        let standing = |version| list.standing(Some(version));
        assert_eq!(list.standing(None), Standing::TooOld);
        assert_eq!(standing(1), Standing::TooOld);
        assert_eq!(standing(2), Standing::OneBehind);
        assert_eq!(standing(3), Standing::Current);
        assert_eq!(standing(4), Standing::Current);
        assert_eq!(standing(5), Standing::TooNew);
        // Before the first version there are no tables, so nothing can be served from there.
        let first = Migrations(Arc::default()).with("a", "");
        assert_eq!(first.standing(Some(0)), Standing::TooOld);
    }

    #[test]
    fn a_script_holds_what_is_missing_and_nothing_else() {
        let list = Migrations::shipped().with("add_a_column", "ALTER TABLE stoa.x ADD y text");
        let script = list.script(list.latest() - 1);
        assert!(script.contains("ALTER TABLE stoa.x ADD y text"), "{script}");
        assert!(
            !script.contains("CREATE TABLE stoa.chat_messages"),
            "{script}"
        );
        assert!(list.script(0).contains("CREATE TABLE stoa.chat_messages"));
    }
}
