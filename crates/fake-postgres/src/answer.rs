//! What a server answers to a statement.

use postgres_types::Type;

use crate::act::Act;

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub(crate) name: String,
    pub(crate) kind: u32,
}

/// A value in PostgreSQL's binary form. Nobody checks it against its column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell(pub(crate) Option<Vec<u8>>);

/// The answer to a statement: its columns, its rows, and how it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Cell>>,
    /// What is done behind the rows.
    pub(crate) acts: Vec<Act>,
    pub(crate) end: End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// `None` makes one of the statement's first word and the rows.
    Complete(Option<String>),
    Error {
        sqlstate: String,
        message: String,
    },
}

impl Column {
    /// A column of this name and type.
    #[must_use]
    pub fn new(name: &str, kind: &Type) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.oid(),
        }
    }
}

impl Cell {
    /// No value.
    pub const NULL: Self = Self(None);

    /// Any bytes.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Some(bytes.into()))
    }

    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::raw(text)
    }

    /// An `int4`.
    #[must_use]
    pub fn int4(number: i32) -> Self {
        Self::raw(number.to_be_bytes())
    }

    /// An `int8`.
    #[must_use]
    pub fn int8(number: i64) -> Self {
        Self::raw(number.to_be_bytes())
    }

    /// A `bool`.
    #[must_use]
    pub fn bool(is: bool) -> Self {
        Self::raw([u8::from(is)])
    }
}

impl Answer {
    /// No rows.
    #[must_use]
    pub fn nothing() -> Self {
        Self::rows([])
    }

    /// Rows of these columns, none yet: see [`Self::row`].
    #[must_use]
    pub fn rows(columns: impl IntoIterator<Item = Column>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
            acts: Vec::new(),
            end: End::Complete(None),
        }
    }

    /// An error.
    #[must_use]
    pub fn error(sqlstate: &str, message: &str) -> Self {
        let end = End::Error {
            sqlstate: sqlstate.to_owned(),
            message: message.to_owned(),
        };
        Self {
            end,
            ..Self::nothing()
        }
    }

    /// No rows, and these acts before the end, if it comes to that.
    #[must_use]
    pub fn acting(acts: impl IntoIterator<Item = Act>) -> Self {
        Self::nothing().then(acts)
    }

    /// One row more. It need not fit the columns.
    #[must_use]
    pub fn row(mut self, cells: impl IntoIterator<Item = Cell>) -> Self {
        self.rows.push(cells.into_iter().collect());
        self
    }

    /// What is done behind the rows, before the end.
    #[must_use]
    pub fn then(mut self, acts: impl IntoIterator<Item = Act>) -> Self {
        self.acts.extend(acts);
        self
    }

    /// Ends with this command tag, such as `UPDATE 1`.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.end = End::Complete(Some(tag.to_owned()));
        self
    }

    /// Whether it fails while the statement is read, as PostgreSQL does for what it cannot parse or
    /// find.
    pub(crate) fn fails_early(&self) -> bool {
        matches!(&self.end, End::Error { sqlstate, .. } if sqlstate.starts_with("42"))
    }
}
