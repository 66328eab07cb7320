//! The parser against what people paste and what attackers write.

mod properties;

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
        ("host=h user=u password=p", E::NoDatabase),
        ("host=h", E::NoUser),
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
        ("postgres://u:p@h..example/d", E::Host),
        ("postgres://u:p@.h/d", E::Host),
        ("postgres://u:p@h/d\0", E::Characters),
        ("postgres://u:p%00@h/d", E::Characters),
        ("postgres://u:p@h/d#fragment", E::Characters),
        ("postgres://u@h\\:p@evil/d", E::Characters),
        ("postgres://u:p@h\\evil/d", E::Host),
        ("postgres://u:p@h evil/d", E::Host),
        ("postgres://u:p@h/d e", E::Characters),
        ("postgres://u:p@１２７.０.０.１/d", E::Host),
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
        "service",
        "passfile",
        "HOST",
        "%68ost",
        "sslmode%00",
        "require_auth",
        "load_balance_hosts",
    ] {
        let refused = parse(&format!("postgres://u:p@h/d?{key}=x"));
        assert!(
            matches!(refused, Err(AddressError::Parameter(_))),
            "{key}: {refused:?}"
        );
    }
}

#[test]
fn parameters_of_consoles_are_taken_or_answered_with_what_to_do() {
    for harmless in [
        "pgbouncer=true",
        "connect_timeout=10",
        "application_name=a%20b",
        "gssencmode=disable",
        "keepalives=1&keepalives_idle=30",
        "target_session_attrs=read-write",
        "schema=public",
        "sslrootcert=system",
        "sslmode=require&channel_binding=prefer",
        "uselibpqcompat=true",
    ] {
        let address = parse(&format!("postgres://u:p@h.example/d?{harmless}")).unwrap();
        assert_eq!(address.tls(), TlsMode::Verify, "{harmless}");
        assert!(!address.requires_binding());
    }
    let neon = "postgresql://neondb_owner:npg_x@ep-cool-1.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require";
    let address = parse(neon).unwrap();
    assert!(address.requires_binding());
    let again = parse(address.to_secret_url().expose_secret()).unwrap();
    assert!(again.requires_binding(), "asked once, asked for good");
    for (parameter, remedy) in [
        ("options=project%3Dabcdefgh", "behind the user"),
        ("options=reference=abcdefgh", "behind the user"),
        ("options=endpoint%3Dep-cool-1", "Neon learns the endpoint"),
        ("options=-c%20search_path%3Devil", "ALTER ROLE"),
        ("sslrootcert=/etc/ca.pem", "ca_certificate"),
        ("sslcert=/a.pem", "sign-in is by password"),
        ("sslkey=/a.key", "sign-in is by password"),
        ("target_session_attrs=standby", "primary server"),
        ("gssencmode=require", "TLS"),
    ] {
        let refused = parse(&format!("postgres://u:p@h.example/d?{parameter}")).unwrap_err();
        assert!(
            refused.remedy().contains(remedy),
            "{parameter}: {refused:?}"
        );
    }
    assert_eq!(
        parse("postgres://u:p@h/d?sslmode=require&sslmode=disable").map(|_| ()),
        Err(AddressError::Repeated("sslmode".into()))
    );
}

#[test]
fn what_was_not_filled_in_is_named() {
    for (text, part) in [
        (
            "postgresql://postgres:[YOUR-PASSWORD]@db.abcdefghijklmnopqrst.supabase.co:5432/postgres",
            "password",
        ),
        (
            "postgresql://postgres:%5BYOUR-PASSWORD%5D@h.example/postgres",
            "password",
        ),
        ("postgresql://u:<password>@h.example/d", "password"),
        ("postgresql://u:your_password@h.example/d", "password"),
        (
            "postgresql://neondb_owner:****************@ep-x.neon.tech/neondb",
            "password",
        ),
        (
            "host=h.example user=u password=[YOUR-PASSWORD] dbname=d",
            "password",
        ),
        (
            "postgres://postgres.[YOUR-PROJECT-REF]:pw@aws-0-eu-west-1.pooler.supabase.com/postgres",
            "user",
        ),
        (
            "postgres://postgres.abcdefghijkl:pw@aws-0-[REGION].pooler.supabase.com:5432/postgres",
            "host",
        ),
        (
            "postgres://postgres.abcdefghijkl:pw@aws-0-REGION.pooler.supabase.com:5432/postgres",
            "host",
        ),
        ("postgres://u:pw@h.example/<database>", "database"),
    ] {
        assert_eq!(
            parse(text).map(|_| ()),
            Err(AddressError::Placeholder(part)),
            "{text}"
        );
    }
    for real in ["password", "p[a]ss", "[secret]", "***", "your"] {
        let url = format!("postgres://u:{real}@h.example/d");
        assert_eq!(
            parse(&url).unwrap().password().unwrap().expose_secret(),
            real
        );
    }
    // What is stored was accepted once, whatever it looks like.
    let stored = "postgres://u:your-password@h.example/d?sslmode=verify-full";
    assert!(DatabaseAddress::parse_stored(stored, &listed()).is_ok());
}

#[test]
fn passwords_are_taken_as_people_paste_them() {
    for password in [
        "p@ss",
        "a/b",
        "a?b",
        "a#b",
        "a%b",
        "100%sure",
        "a:b",
        "a\\b",
        "a b",
        "p@ss/w?rd#1",
        "/@",
        "x@y/z@",
        "#!?/@:%",
        "ä%zz€",
    ] {
        let text = format!("postgres://u:{password}@db.example.com:5433/shop?sslmode=require");
        let address = parse(&text).unwrap();
        assert_eq!(address.password().unwrap().expose_secret(), password);
        assert_eq!(
            (address.host(), address.port()),
            ("db.example.com", 5433),
            "{text}"
        );
        assert_eq!(address.database(), "shop");
        let again = parse(address.to_secret_url().expose_secret()).unwrap();
        assert_eq!(again.password().unwrap().expose_secret(), password);
    }
}

#[test]
fn what_is_copied_along_is_left_away() {
    for text in [
        "\"postgres://u:p@h.example/d\"",
        "'postgres://u:p@h.example/d'",
        "psql 'postgresql://u:p@h.example/d'",
        "DATABASE_URL=\"postgresql://u:p@h.example/d\"",
        "DATABASE_URL=postgresql://u:p@h.example/d",
        "postgresql+asyncpg://u:p@h.example/d",
        "POSTGRES://u:p@h.example/d",
    ] {
        let address = parse(text).unwrap();
        assert_eq!(
            (address.host(), address.user(), address.database()),
            ("h.example", "u", "d"),
            "{text}"
        );
    }
    for text in [
        "jdbc:postgresql://h/d?user=u",
        "https://abcdefgh.supabase.co",
        "sb_secret_x",
    ] {
        assert_eq!(parse(text).map(|_| ()), Err(AddressError::Form), "{text}");
    }
}

#[test]
fn hosts_are_brought_into_one_form() {
    for (host, expected) in [
        ("DB.Example.COM.", "db.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("БД.example", "xn--90ag.example"),
        ("[2001:DB8::0:7]", "2001:db8::7"),
        ("192.0.2.7", "192.0.2.7"),
    ] {
        let address = parse(&format!("postgres://u:p@{host}/d")).unwrap();
        assert_eq!(address.host(), expected);
        let again = parse(address.to_secret_url().expose_secret()).unwrap();
        assert_eq!(again.host(), expected);
    }
}

#[test]
fn keywords_are_read_as_libpq_reads_them() {
    let address = parse(
        "host=aws-0-eu-central-1.pooler.supabase.com port=5432 dbname=postgres \
         user=postgres.abcdefghijklmnopqrst password='it''s' sslmode=require",
    );
    assert!(address.is_err(), "two quotes do not make one");
    let address = parse(
        "host = aws-0-eu-central-1.pooler.supabase.com\n port=6543 dbname=postgres \
         user=postgres.abcdefghijklmnopqrst password='it\\'s a\\\\b' sslmode=require",
    )
    .unwrap();
    assert_eq!(address.port(), 6543);
    assert_eq!(address.user(), "postgres.abcdefghijklmnopqrst");
    assert_eq!(address.password().unwrap().expose_secret(), "it's a\\b");
    let address = parse("host=2001:db8::7 user=u password=p%40 dbname=d").unwrap();
    assert_eq!((address.host(), address.port()), ("2001:db8::7", 5432));
    assert_eq!(
        address.password().unwrap().expose_secret(),
        "p%40",
        "nothing is escaped here"
    );
    for (text, error) in [
        ("host=a,b user=u password=p dbname=d", AddressError::Host),
        ("host=/tmp user=u password=p dbname=d", AddressError::Host),
        ("user=u password=p dbname=d", AddressError::Host),
        (
            "host=a host=b user=u password=p dbname=d",
            AddressError::Repeated("host".into()),
        ),
        (
            "host=a hostaddr=127.0.0.1 user=u password=p dbname=d",
            AddressError::Parameter("hostaddr".into()),
        ),
        (
            "host=a service=s user=u password=p dbname=d",
            AddressError::Parameter("service".into()),
        ),
        (
            "host=a port=1,2 user=u password=p dbname=d",
            AddressError::Host,
        ),
        ("host=a user=u dbname=d", AddressError::NoPassword),
        ("host=a user=u password='p dbname=d", AddressError::Form),
        (
            "host=a user=u password=p dbname=d sslmode=disable",
            AddressError::TlsRequired,
        ),
    ] {
        assert_eq!(parse(text).map(|_| ()), Err(error), "{text}");
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
