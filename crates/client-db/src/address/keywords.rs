//! libpq's other form of an address: `host=… port=… user=… password=… dbname=…`.

use super::{
    AddressError,
    host::{DEFAULT_PORT, host_alone, port_number},
    parameters::Parameters,
    parts::{Parts, sound_name},
};

/// The keys that say where and who; all others are parameters.
const KEYS: [&str; 5] = ["host", "port", "user", "password", "dbname"];

/// Whether the text is written this way, rightly or not.
pub(super) fn looks_like_keywords(text: &str) -> bool {
    let starts_with_key = text
        .split_once('=')
        .is_some_and(|(key, _)| !key.is_empty() && key.trim().bytes().all(is_key_byte));
    starts_with_key && !text.contains("://")
}

/// Takes it apart. Of a key that is given twice neither counts.
pub(super) fn split(text: &str) -> Result<Parts, AddressError> {
    let mut values: [Option<String>; KEYS.len()] = Default::default();
    let mut parameters = Parameters::default();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or(AddressError::Form)?;
        let key = key.trim_end();
        if key.is_empty() || !key.bytes().all(is_key_byte) {
            return Err(AddressError::Form);
        }
        let (value, after) = value(after.trim_start())?;
        rest = after.trim_start();
        if value.chars().any(char::is_control) {
            return Err(AddressError::Characters);
        }
        match KEYS.iter().position(|it| *it == key) {
            Some(index) if values[index].is_some() => {
                return Err(AddressError::Repeated(key.to_owned()));
            }
            Some(index) => values[index] = Some(value),
            None => parameters.take(key, &value)?,
        }
    }
    let [host, port, user, password, database] = values;
    let name = |value: Option<String>, missing: AddressError| {
        sound_name(&value.unwrap_or_default())?.ok_or(missing)
    };
    Ok(Parts {
        host: host_alone(&host.ok_or(AddressError::Host)?)?,
        port: port.map_or(Ok(DEFAULT_PORT), |it| port_number(&it))?,
        user: name(user, AddressError::NoUser)?,
        password: password.filter(|it| !it.is_empty()),
        database: name(database, AddressError::NoDatabase)?,
        parameters,
    })
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte == b'_'
}

/// A value with what follows it: up to the next space, or in quotes; a backslash takes the
/// character behind it as it is.
fn value(text: &str) -> Result<(String, &str), AddressError> {
    let (quoted, body) = match text.strip_prefix('\'') {
        Some(body) => (true, body),
        None => (false, text),
    };
    let mut value = String::new();
    let mut characters = body.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => value.push(characters.next().ok_or(AddressError::Form)?.1),
            '\'' if quoted => return Ok((value, &body[at + 1..])),
            c if !quoted && c.is_whitespace() => return Ok((value, &body[at..])),
            c => value.push(c),
        }
    }
    if quoted {
        return Err(AddressError::Form);
    }
    Ok((value, ""))
}
