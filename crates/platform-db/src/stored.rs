//! From what a row holds to types that cannot be wrong.

use std::fmt::Display;
use std::str::FromStr;

use crate::DbError;

/// A word of a column, parsed.
pub(crate) fn word<T>(column: &'static str, text: &str) -> Result<T, DbError>
where
    T: FromStr<Err: Display>,
{
    text.parse().map_err(not_understood(column))
}

/// Turns a parser's complaint into an error that names the column.
pub(crate) fn not_understood<E: Display>(column: &'static str) -> impl FnOnce(E) -> DbError {
    move |problem| DbError::NotUnderstood {
        column,
        problem: problem.to_string(),
    }
}

/// Words that only this database knows: an enum with its text and back.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// The word as it is stored.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("“{word}” is no {}", stringify!($name))),
                }
            }
        }
    )+};
}
pub(crate) use words;
