use proptest::prelude::*;
use serde_json::json;

use super::*;

fn fill(address: &str, input: Value) -> Result<String, String> {
    let Value::Object(input) = input else {
        panic!("arguments are an object")
    };
    let address = Address::parse(address).unwrap();
    match address.fill(&input, &[]) {
        Ok(url) => Ok(url.into()),
        Err(misfit) => Err(misfit.field),
    }
}

#[test]
fn placeholders_stand_in_the_path_and_for_values_of_the_query() {
    for good in [
        "https://api.example.com",
        "https://api.example.com/",
        "HTTPS://API.example.com:8443/orders/{order_id}/lines/{line-2}.json?full={full}&v=2&flag",
        "https://api.example.com/a%2Fb/é?q=a{b}c{d}",
        "http://127.0.0.1:8080/?",
        "https://[2001:db8::1]/{a}{b}",
    ] {
        assert!(Address::parse(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "api.example.com/{a}",
        "ftp://example.com/{a}",
        "{scheme}://example.com/",
        "https://{host}/",
        "https://{host}.example.com/",
        "https://example.com:{port}/",
        "https://{user}@example.com/",
        "https://user:password@example.com/",
        "https://example.com/#{fragment}",
        "https://example.com/#a",
        "https://example.com?{name}=1",
        "https://example.com/?{a}",
        "https://example.com/?=a",
        "https://example.com/{a",
        "https://example.com/a}",
        "https://example.com/{}",
        "https://example.com/{a b}",
        "https://example.com/{a{b}}",
        "https://example.com/{a.b}",
        "https://example.com/{é}",
        "https://example.com/ a",
        "https://example.com/a\nb",
        "https://example.com\\@evil.example/{a}",
        "https://example.com/a/../{b}",
        "https://example.com/{b}/%2e%2E",
        "https://example.com/.",
        "https:///{a}",
        "https://?a={a}",
        "https://exa mple.com/",
        "https://example.com:99999/",
    ] {
        assert!(Address::parse(bad).is_err(), "{bad}");
    }
    assert!(Address::parse(&format!("https://example.com/{}", "a".repeat(2_000))).is_err());
}

#[test]
fn arguments_are_put_where_they_belong() {
    let address = "https://api.example.com/orders/{id}/x-{part}?full={full}&q=a+{q}&v=2";
    let input = json!({ "id": 7, "part": "é/ü", "full": true, "q": "a b&c=d" });
    assert_eq!(
        fill(address, input).unwrap(),
        "https://api.example.com/orders/7/x-%C3%A9%2F%C3%BC?full=true&q=a+a%20b%26c%3Dd&v=2"
    );
    // A bare value may be left out, what is a part of something may not.
    let without = json!({ "id": 1.5, "part": "a", "q": "", "full": null });
    assert_eq!(
        fill(address, without).unwrap(),
        "https://api.example.com/orders/1.5/x-a?q=a+&v=2"
    );
    let field = |input| fill(address, input).unwrap_err();
    assert_eq!(field(json!({ "part": "a", "q": "" })), "id");
    assert_eq!(field(json!({ "id": null, "part": "a", "q": "" })), "id");
    assert_eq!(field(json!({ "id": 1, "part": "a" })), "q");
    assert_eq!(field(json!({ "id": [1], "part": "a", "q": "" })), "id");
    assert_eq!(field(json!({ "id": 1, "part": {}, "q": "" })), "part");
    assert_eq!(
        field(json!({ "id": 1, "part": "a", "q": "a".repeat(8_000) })),
        ""
    );
}

#[test]
fn no_argument_is_a_step_or_nothing() {
    for value in [
        "", ".", "..", "../", "/..", "a/../b", "..\\a", ". ", "..;", "..;x/y", "\u{a0}..", "..\n",
    ] {
        let filled = fill("https://example.com/a/{b}/c", json!({ "b": value }));
        assert_eq!(filled.unwrap_err(), "b", "{value:?}");
    }
    // What a fixed part and an argument make together counts.
    assert!(fill("https://example.com/.{b}/c", json!({ "b": "." })).is_err());
    assert!(
        fill(
            "https://example.com/{a}{b}/c",
            json!({ "a": ".", "b": "." })
        )
        .is_err()
    );
    for (value, written) in [
        ("...", "..."),
        (".a", ".a"),
        ("a..b", "a..b"),
        ("%2e%2e", "%252e%252e"),
        ("a/b", "a%2Fb"),
        ("?a#b@c:d", "%3Fa%23b%40c%3Ad"),
        ("a\r\nb\0", "a%0D%0Ab%00"),
        ("//evil.example", "%2F%2Fevil.example"),
    ] {
        let filled = fill("https://example.com/a/{b}/c", json!({ "b": value })).unwrap();
        assert_eq!(filled, format!("https://example.com/a/{written}/c"));
    }
}

#[test]
fn what_may_be_a_secret_in_an_address_is_known() {
    let secrets = |text| Address::parse(text).unwrap().secrets();
    assert_eq!(
        secrets(
            "https://example.com/hooks/T01234567/x8Gh2jK9pL4mN6qR?api_key=abc%2Fdef&category=electronics&token={t}"
        ),
        ["abc/def", "x8Gh2jK9pL4mN6qR"]
    );
    assert!(secrets("https://example.com/customers/{id}/orders?full={full}").is_empty());
}

const TEMPLATES: [&str; 5] = [
    "https://api.example.com/orders/{a}",
    "https://api.example.com:8443/{a}/x/{b}.json?full={c}",
    "http://127.0.0.1/v1/pre-{a}-{b}?q={c}&fixed=1&r=z{d}",
    "https://[2001:db8::1]/?q={a}&r={b}",
    "https://api.example.com/{a}{b}{c}{d}",
];

proptest! {
    /// Whatever a model writes, a call goes to the host that the client named, with as many
    /// segments and with the same names in the query, and each value arrives as it was.
    #[test]
    fn no_value_leaves_its_place(
        template in proptest::sample::select(&TEMPLATES[..]),
        values in proptest::collection::vec(
            prop_oneof![any::<String>(), "[./\\\\%?#@&=;:a-c{}\r\n\0 é]{0,12}"], 4),
    ) {
        let address = Address::parse(template).unwrap();
        let input: Map<String, Value> = ["a", "b", "c", "d"]
            .into_iter()
            .zip(&values)
            .map(|(name, value)| (name.to_owned(), Value::from(value.as_str())))
            .collect();
        let Ok(url) = address.fill(&input, &[]) else {
            return Ok(());
        };
        let sample = address.sample();
        prop_assert_eq!(url.scheme(), sample.scheme());
        prop_assert_eq!(url.host_str(), sample.host_str());
        prop_assert_eq!(url.port(), sample.port());
        prop_assert_eq!(url.username(), "");
        prop_assert_eq!(url.password(), None);
        prop_assert_eq!(url.fragment(), None);
        prop_assert_eq!(count_segments(&url), count_segments(sample));
        let names = |url: &Url| -> Vec<String> {
            url.query_pairs().map(|(name, _)| name.into_owned()).collect()
        };
        prop_assert_eq!(names(&url), names(sample));
        for (parts, segment) in address.segments.iter().zip(url.path_segments().unwrap()) {
            let expected: String = parts.iter().map(|part| match part {
                Part::Fixed(text) => text.clone(),
                Part::Argument(name) => input[name].as_str().unwrap().to_owned(),
            }).collect();
            let arrived = percent_decode_str(segment).decode_utf8().unwrap();
            prop_assert_eq!(arrived, expected);
        }
        let filled = address.query.iter().zip(url.query_pairs());
        for (pair, (_, arrived)) in filled {
            let expected: String = pair.value.iter().flatten().map(|part| match part {
                Part::Fixed(text) => text.clone(),
                Part::Argument(name) => input[name].as_str().unwrap().to_owned(),
            }).collect();
            prop_assert_eq!(arrived, expected);
        }
    }

    /// Whatever a client writes as an address, reading it does not break, and what is read leads
    /// to one host only.
    #[test]
    fn an_address_has_one_host_or_is_refused(
        text in prop_oneof![any::<String>(), "https?://[a-z.{}@:/?#&=\\\\%0-9]{0,40}"],
        value in any::<String>(),
    ) {
        if let Ok(address) = Address::parse(&text) {
            let names: Vec<String> = address.arguments().map(str::to_owned).collect();
            let input = names.into_iter().map(|name| (name, Value::from(value.as_str())));
            if let Ok(url) = address.fill(&input.collect(), &[]) {
                prop_assert_eq!(url.origin(), address.sample().origin());
            }
        }
    }
}
