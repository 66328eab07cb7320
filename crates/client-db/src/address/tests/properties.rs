//! What holds whatever is written.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn nothing_makes_it_panic_and_what_passes_comes_back(text in "\\PC*") {
        if let Ok(address) = parse(&text) {
            let again = DatabaseAddress::parse(address.to_secret_url().expose_secret(), &listed());
            let again = again.unwrap();
            prop_assert_eq!(again.host(), address.host());
        }
    }

    #[test]
    fn every_name_and_password_survives_the_trip(
        user in "[^\\x00-\\x1f\\x7f-\\x9f]{1,15}",
        password in "[^\\x00-\\x1f\\x7f-\\x9f]{1,40}",
        database in "[^\\x00-\\x1f\\x7f-\\x9f]{1,15}",
        port in 1_u16..,
        host in "[a-z][a-z0-9-]{0,9}(\\.[a-z][a-z0-9-]{0,9}){0,2}",
    ) {
        let left_in = placeholder::is_placeholder_name(&user)
            || placeholder::is_placeholder_name(&database)
            || placeholder::is_placeholder_password(&password)
            || placeholder::is_placeholder_host(&host);
        prop_assume!(!left_in);
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let url = format!(
            "postgres://{}:{}@{host}:{port}/{}",
            encode(&user), encode(&password), encode(&database)
        );
        let first = parse(&url).unwrap();
        let second = parse(first.to_secret_url().expose_secret()).unwrap();
        for address in [first, second] {
            prop_assert_eq!(address.user(), &user);
            prop_assert_eq!(address.password().unwrap().expose_secret(), &password);
            prop_assert_eq!(address.database(), &database);
            prop_assert_eq!((address.host(), address.port()), (host.as_str(), port));
            prop_assert_eq!(address.tls(), TlsMode::Verify);
        }
    }

    #[test]
    fn what_is_almost_an_address_is_one_host_or_none(
        text in "(postgres://)?(host=)?[a-z@:/,?#%=&\\[\\]. '-]{0,60}"
    ) {
        if let Ok(address) = parse(&text) {
            prop_assert!(!address.host().is_empty());
            prop_assert!(!address.host().contains(['/', ',', '@', ' ', '%', '?', '\'']), "{}", address.host());
            let again = parse(address.to_secret_url().expose_secret()).unwrap();
            prop_assert_eq!(again.display_host(), address.display_host());
            prop_assert_eq!((again.user(), again.database()), (address.user(), address.database()));
            prop_assert_eq!(
                again.password().map(ExposeSecret::expose_secret),
                address.password().map(ExposeSecret::expose_secret)
            );
        }
    }

    #[test]
    fn no_query_string_moves_the_host_or_lowers_tls(query in "([a-z%0-9_.-]{1,8}=[a-z=%0-9_.:/@,-]{0,12}&?){0,4}") {
        if let Ok(address) = parse(&format!("postgres://u:p@h.example:5432/d?{query}")) {
            prop_assert_eq!((address.host(), address.port()), ("h.example", 5432));
            prop_assert_eq!(address.tls(), TlsMode::Verify);
            prop_assert_eq!(address.user(), "u");
        }
    }
}
