//! An instance's database address as it is kept: sealed as one with the certificate authority by
//! which its server proves itself, so that neither can be swapped for another's.

use std::borrow::Cow;

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use stoa_client_db::{AddressError, AddressRules, CertificateAuthority, DatabaseAddress};
use stoa_domain::seal::{DataKey, SealError, SealPlace};
use stoa_domain::{InstanceId, Random};
use zeroize::Zeroizing;

/// What is sealed where the server proves itself by an authority of its own. Where it does not, the
/// URL alone is sealed, as it has always been.
#[derive(Serialize, Deserialize)]
struct WithAuthority<'a> {
    url: Cow<'a, str>,
    ca_certificate: Cow<'a, str>,
}

/// A stored address that does not open.
#[derive(Debug, thiserror::Error)]
pub enum StoredAddressError {
    /// Its seal does not open with this key for this instance.
    #[error("its seal does not open")]
    Sealed(#[from] SealError),
    /// What was sealed is not an address.
    #[error("what was sealed is not an address")]
    Address(#[from] AddressError),
}

/// Where an instance's database address is sealed.
#[must_use]
pub const fn address_place(instance: InstanceId) -> SealPlace {
    SealPlace {
        instance,
        table: "chat_instances",
        column: "database_address_sealed",
        row: instance.as_uuid(),
    }
}

/// Seals an address with its certificate authority.
///
/// # Errors
/// When it cannot be sealed.
pub fn seal_address(
    address: &DatabaseAddress,
    instance: InstanceId,
    key: &DataKey,
    random: &Random,
) -> Result<Vec<u8>, SealError> {
    seal_address_at(&address_place(instance), address, key, random)
}

/// Seals an address for another place, as a move keeps those of both its databases.
///
/// # Errors
/// When it cannot be sealed.
pub fn seal_address_at(
    place: &SealPlace,
    address: &DatabaseAddress,
    key: &DataKey,
    random: &Random,
) -> Result<Vec<u8>, SealError> {
    let url = address.to_secret_url();
    let url = url.expose_secret();
    let Some(authority) = address.certificate_authority() else {
        return key.seal(place, url.as_bytes(), random);
    };
    let plain = WithAuthority {
        url: url.into(),
        ca_certificate: authority.pem().into(),
    };
    let plain = serde_json::to_vec(&plain).map_err(|_| SealError::Malformed)?;
    key.seal(place, &Zeroizing::new(plain), random)
}

/// Opens the address of a client's own database.
///
/// # Errors
/// When it does not open, or was sealed as something else.
pub fn open_address(
    sealed: &[u8],
    instance: InstanceId,
    key: &DataKey,
    rules: &AddressRules,
) -> Result<DatabaseAddress, StoredAddressError> {
    open_address_at(&address_place(instance), sealed, key, rules)
}

/// The same, of one that is sealed for another place.
///
/// # Errors
/// As [`open_address`].
pub fn open_address_at(
    place: &SealPlace,
    sealed: &[u8],
    key: &DataKey,
    rules: &AddressRules,
) -> Result<DatabaseAddress, StoredAddressError> {
    opened(place, sealed, key, |url| {
        DatabaseAddress::parse_stored(url, rules)
    })
}

/// Opens the address of a database that the platform made, or that its operator configured.
///
/// # Errors
/// As [`open_address`].
pub fn open_operators_address(
    sealed: &[u8],
    instance: InstanceId,
    key: &DataKey,
) -> Result<DatabaseAddress, StoredAddressError> {
    open_operators_address_at(&address_place(instance), sealed, key)
}

/// The same, of one that is sealed for another place.
///
/// # Errors
/// As [`open_address`].
pub fn open_operators_address_at(
    place: &SealPlace,
    sealed: &[u8],
    key: &DataKey,
) -> Result<DatabaseAddress, StoredAddressError> {
    opened(place, sealed, key, DatabaseAddress::parse_operators)
}

fn opened(
    place: &SealPlace,
    sealed: &[u8],
    key: &DataKey,
    parse: impl Fn(&str) -> Result<DatabaseAddress, AddressError>,
) -> Result<DatabaseAddress, StoredAddressError> {
    let opened = key.open(place, sealed)?;
    if !opened.starts_with(b"{") {
        return Ok(parse(text(&opened)?)?);
    }
    let plain: WithAuthority<'_> =
        serde_json::from_slice(&opened).map_err(|_| SealError::Malformed)?;
    let authority = CertificateAuthority::parse(&plain.ca_certificate)?;
    Ok(parse(&plain.url)?.with_certificate_authority(authority))
}

fn text(opened: &[u8]) -> Result<&str, SealError> {
    std::str::from_utf8(opened).map_err(|_| SealError::Malformed)
}

#[cfg(test)]
mod tests {
    use stoa_domain::Clock;

    use super::*;

    const URL: &str = "postgres://bot:p%40ss@db.example.com:5432/shop?sslmode=verify-full";

    struct Sealer {
        instance: InstanceId,
        key: DataKey,
        random: Random,
    }

    impl Sealer {
        fn new() -> Self {
            let random = Random::seeded(7);
            Self {
                instance: InstanceId::generate(&Clock::system(), &random),
                key: DataKey::generate(&random),
                random,
            }
        }

        fn open(&self, sealed: &[u8]) -> Result<DatabaseAddress, StoredAddressError> {
            open_address(sealed, self.instance, &self.key, &AddressRules::default())
        }
    }

    #[test]
    fn an_address_comes_back_with_its_authority_and_without() {
        let sealer = Sealer::new();
        let authority = include_str!("testdata/authority.pem");
        let address = DatabaseAddress::parse(URL, &AddressRules::default()).unwrap();
        let parsed = CertificateAuthority::parse(authority).unwrap();
        for (address, expected) in [
            (address.clone(), None),
            (
                address.with_certificate_authority(parsed.clone()),
                Some(parsed.pem().to_owned()),
            ),
        ] {
            let sealed =
                seal_address(&address, sealer.instance, &sealer.key, &sealer.random).unwrap();
            let opened = sealer.open(&sealed).unwrap();
            assert_eq!(opened.to_secret_url().expose_secret(), URL);
            let found = opened.certificate_authority().map(|it| it.pem().to_owned());
            assert_eq!(found, expected);
            let elsewhere = Sealer {
                instance: InstanceId::generate(&Clock::system(), &sealer.random),
                ..Sealer::new()
            };
            assert!(elsewhere.open(&sealed).is_err(), "of another instance");
        }
    }

    #[test]
    fn an_address_that_was_sealed_by_itself_still_opens() {
        let sealer = Sealer::new();
        let place = address_place(sealer.instance);
        let sealed = |plain: &str| {
            let random = &sealer.random;
            sealer.key.seal(&place, plain.as_bytes(), random).unwrap()
        };
        let opened = sealer.open(&sealed(URL)).unwrap();
        assert_eq!(opened.to_secret_url().expose_secret(), URL);
        // Whether its host may be reached in the clear is judged when it is connected to.
        let plain = "postgres://bot:p@db.example.com:5432/shop?sslmode=disable";
        let opened = sealer.open(&sealed(plain)).unwrap();
        assert_eq!(opened.to_secret_url().expose_secret(), plain);
        assert!(sealer.open(&sealed("nonsense")).is_err());
    }
}
