//! Fields of a change: left out is left alone.

use serde::{Deserialize, Deserializer};

/// A field that can be cleared: left out is `None`, null is `Some(None)`. To be used with
/// `#[serde(default, deserialize_with = "patch::clearable")]`.
pub(crate) fn clearable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A field that can be changed and not cleared: left out is `None`, null is refused. To be used
/// with `#[serde(default, deserialize_with = "patch::given")]`.
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, PartialEq, Debug)]
    struct Change {
        #[serde(default, deserialize_with = "given")]
        name: Option<String>,
        #[serde(default, deserialize_with = "clearable")]
        color: Option<Option<String>>,
    }

    #[test]
    fn left_out_null_and_a_value_are_three_things() {
        let parse = |text| serde_json::from_str::<Change>(text);
        let change = |name: Option<&str>, color: Option<Option<&str>>| Change {
            name: name.map(Into::into),
            color: color.map(|it| it.map(Into::into)),
        };
        assert_eq!(parse("{}").unwrap(), change(None, None));
        assert_eq!(
            parse(r#"{"color":null}"#).unwrap(),
            change(None, Some(None))
        );
        assert_eq!(
            parse(r#"{"name":"a","color":"b"}"#).unwrap(),
            change(Some("a"), Some(Some("b")))
        );
        assert!(parse(r#"{"name":null}"#).is_err());
    }
}
