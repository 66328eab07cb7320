//! The parser against what people paste and what attackers write.

use proptest::prelude::*;

use super::*;

fn listed() -> AddressRules {
    AddressRules::new(AddressPolicy::parse("127.0.0.0/8, db.internal:5433, [::1]").unwrap())
}

fn parse(text: &str) -> Result<DatabaseAddress, AddressError> {
    DatabaseAddress::parse(text, &listed())
}

#[test]
fn what_people_paste() {
    let address = parse("  postgresql://ada:s%40cr%3At@DB.Example.org/shop \n").unwrap();
    assert_eq!((address.host(), address.port()), ("db.example.org", 5432));
    assert_eq!((address.user(), address.database()), ("ada", "shop"));
    assert_eq!(address.password().unwrap().expose_secret(), "s@cr:t");
    assert_eq!(address.tls(), TlsMode::Verify);
    assert_eq!(address.display_host(), "db.example.org:5432");

    let supabase = "postgresql://postgres.abcdef:p@ss@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?pgbouncer=true&sslmode=require";
    let address = parse(supabase).unwrap();
    assert_eq!(address.port(), 6543);
    assert_eq!(address.user(), "postgres.abcdef");
    assert_eq!(
        address.password().unwrap().expose_secret(),
        "p@ss",
        "an unescaped @ is forgiven"
    );

    let address = parse("postgres://u:p@[2001:db8::7]:6000/d").unwrap();
    assert_eq!((address.host(), address.port()), ("2001:db8::7", 6000));
    assert_eq!(address.display_host(), "[2001:db8::7]:6000");
}

#[test]
fn what_is_refused() {
    use AddressError as E;
    for (text, error) in [
        ("", E::Form),
        ("mysql://u:p@h/d", E::Form),
        ("host=h user=u password=p", E::Characters),
        ("host=h", E::Form),
        ("postgres://h/d", E::NoUser),
        ("postgres://:p@h/d", E::NoUser),
        ("postgres://u@h/d", E::NoPassword),
        ("postgres://u:@h/d", E::NoPassword),
        ("postgres://u:p@h", E::NoDatabase),
        ("postgres://u:p@h/", E::NoDatabase),
        ("postgres://u:p@/d", E::Host),
        ("postgres://u:p@h1,h2/d", E::Host),
        ("postgres://u:p@h1:5432,h2:5432/d", E::Host),
        ("postgres://u:p@%2Fvar%2Frun%2Fpostgresql/d", E::Host),
        ("postgres://u:p@@@/d", E::Host),
        ("postgres://u:p@[::1/d", E::Host),
        ("postgres://u:p@[fe80::1%25eth0]/d", E::Host),
        ("postgres://u:p@h:0/d", E::Port),
        ("postgres://u:p@h:65536/d", E::Port),
        ("postgres://u:p@h:+5/d", E::Port),
        ("postgres://u:p@h:5432x/d", E::Port),
        ("postgres://u:p@h/d\0", E::Characters),
        ("postgres://u:p%00@h/d", E::Characters),
        ("postgres://u:p@h/d#fragment", E::Characters),
        ("postgres://u:p@h\\@evil/d", E::Characters),
        ("postgres://u:p@h/d?sslmode=nonsense", E::SslMode),
        ("postgres://u:p@h/d?sslmode=disable", E::TlsRequired),
        ("postgres://u:p@h/d?sslmode=prefer", E::TlsRequired),
        ("postgres://u:p@h/d?sslmode=allow", E::TlsRequired),
    ] {
        assert_eq!(parse(text).map(|_| ()), Err(error), "{text:?}");
    }
    for key in [
        "host",
        "hostaddr",
        "port",
        "user",
        "password",
        "options",
        "service",
        "passfile",
        "sslrootcert",
        "sslkey",
        "sslcert",
        "target_session_attrs",
        "HOST",
        "%68ost",
        "sslmode%00",
    ] {
        let refused = parse(&format!("postgres://u:p@h/d?{key}=x"));
        assert!(
            matches!(refused, Err(AddressError::Parameter(_))),
            "{key}: {refused:?}"
        );
    }
}

#[test]
fn tls_may_be_lowered_only_where_the_operator_says_so() {
    let tls = |text: &str| parse(text).map(|it| it.tls());
    assert_eq!(tls("postgres://u:p@127.0.0.1/d"), Ok(TlsMode::Prefer));
    assert_eq!(tls("postgres://u:p@localhost/d"), Ok(TlsMode::Prefer));
    assert_eq!(
        tls("postgres://u:p@[::1]/d?sslmode=disable"),
        Ok(TlsMode::Disable)
    );
    assert_eq!(
        tls("postgres://u:p@127.0.0.1/d?sslmode=verify-full"),
        Ok(TlsMode::Verify)
    );
    assert_eq!(
        tls("postgres://u:p@127.0.0.1/d?sslmode=require"),
        Ok(TlsMode::Verify)
    );
    assert_eq!(
        tls("postgres://u:p@db.internal:5433/d?sslmode=disable"),
        Ok(TlsMode::Disable)
    );
    assert_eq!(
        tls("postgres://u:p@db.internal:5432/d?sslmode=disable"),
        Err(AddressError::TlsRequired),
        "another port than the listed one"
    );
    // A number that some resolvers take for 127.0.0.1 is a name here, and not a listed one.
    assert_eq!(tls("postgres://u:p@2130706433/d"), Ok(TlsMode::Verify));
}

#[test]
fn secrets_stay_inside() {
    let address = parse("postgres://ada:hunter2@h.example/shop").unwrap();
    let shown = format!("{address:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("ada"),
        "{shown}"
    );
    let error = parse("postgres://ada:hunter2@h.example/shop?password=hunter2").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

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
        host in "[a-z][a-z0-9.-]{0,20}",
    ) {
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
    fn no_query_string_moves_the_host_or_lowers_tls(query in "[a-z=&%0-9_.:/@,-]{0,60}") {
        if let Ok(address) = parse(&format!("postgres://u:p@h.example:5432/d?{query}")) {
            prop_assert_eq!((address.host(), address.port()), ("h.example", 5432));
            prop_assert_eq!(address.tls(), TlsMode::Verify);
            prop_assert_eq!(address.user(), "u");
        }
    }
}

#[test]
fn supabases_doors_are_told_apart() {
    use SupabaseDoor as Door;
    const REF: &str = "abcdefghijklmnopqrst";
    for (url, door, project, region, role) in [
        (
            format!("postgresql://postgres:p@db.{REF}.supabase.co:5432/postgres"),
            Door::Direct,
            Some(REF),
            None,
            "postgres",
        ),
        (
            format!("postgres://postgres:p@db.{REF}.supabase.co:6543/postgres"),
            Door::DedicatedPooler,
            Some(REF),
            None,
            "postgres",
        ),
        (
            format!("postgres://postgres.{REF}:p@aws-0-eu-central-1.pooler.supabase.com/postgres"),
            Door::SessionPooler,
            Some(REF),
            Some("eu-central-1"),
            "postgres",
        ),
        (
            format!("postgres://bot.{REF}:p@aws-1-us-east-2.pooler.supabase.com:6543/postgres"),
            Door::TransactionPooler,
            Some(REF),
            Some("us-east-2"),
            "bot",
        ),
        (
            "postgres://postgres:p@aws-0-eu-west-1.pooler.supabase.com:5432/postgres".into(),
            Door::SessionPooler,
            None,
            Some("eu-west-1"),
            "postgres",
        ),
    ] {
        let address = parse(&url).unwrap();
        let place = address.supabase().unwrap();
        assert_eq!(
            (place.door, place.project, place.region, address.role()),
            (door, project, region, role),
            "{url}"
        );
    }
    for url in [
        "postgres://postgres:p@db.example.com/d",
        "postgres://u.abcdefghijkl:p@supabase.com.example.org/d",
        "postgres://u:p@pooler.supabase.com.evil.example:6543/d",
    ] {
        let address = parse(url).unwrap();
        assert_eq!(address.supabase(), None, "{url}");
        assert_eq!(address.role(), address.user());
    }
}
