//! Database addresses that clients write.

#![no_main]

use libfuzzer_sys::fuzz_target;
use secrecy::ExposeSecret;
use stoa_client_db::{AddressRules, DatabaseAddress, TlsMode};
use stoa_outbound::AddressPolicy;

fuzz_target!(|text: &str| {
    let closed = AddressRules::default();
    let open = AddressRules::new(AddressPolicy::loopback());
    if let Ok(address) = DatabaseAddress::parse(text, &closed) {
        assert_eq!(address.tls(), TlsMode::Verify, "nobody is listed");
        same_again(&address, &closed);
    }
    if let Ok(address) = DatabaseAddress::parse(text, &open) {
        same_again(&address, &open);
    }
    let _ = DatabaseAddress::parse_operators(text);
});

/// An address survives being written down for safe keeping, and shows no password.
fn same_again(address: &DatabaseAddress, rules: &AddressRules) {
    let written = address.to_secret_url();
    let again = DatabaseAddress::parse(written.expose_secret(), rules).expect("it is read again");
    assert_eq!(
        (
            again.host(),
            again.port(),
            again.user(),
            again.database(),
            again.tls()
        ),
        (
            address.host(),
            address.port(),
            address.user(),
            address.database(),
            address.tls()
        ),
    );
    assert_eq!(
        again.to_secret_url().expose_secret(),
        written.expose_secret()
    );
    assert!(!address.host().is_empty() && address.port() > 0);
    assert!(
        !address.host().contains(['/', ',', '@', ' ']),
        "{address:?}"
    );
}
