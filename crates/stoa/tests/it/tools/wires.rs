//! Tools by each wire format.

use stoa_fake_ai::Behaviour;

use super::{Talk, of_kind};
use crate::support::{model_at, said};

#[tokio::test]
async fn every_wire_format_calls_tools_and_goes_on() {
    let mut talk = Talk::with("").await;
    for (provider, base_url) in [
        ("openai_compatible", talk.fake.base_url()),
        ("anthropic", talk.fake.base_url()),
        ("gemini", talk.fake.gemini_url()),
        ("azure_openai", talk.fake.azure_url()),
        ("azure_openai", talk.fake.azure_deployments_url()),
    ] {
        talk.fake.set_behaviour(Behaviour::default());
        let mut model = model_at(&base_url, "model");
        model["provider"] = provider.into();
        talk.exchange_model(model).await;
        let behaviour = r#"call=find_order{"order_id":"7"},call=find_order{"order_id":"8"},then,call=find_order{"order_id":"9"}"#;
        talk.fake
            .set_behaviour(Behaviour::parse(behaviour).unwrap());
        talk.fake.clear_requests();
        let before = talk.shop.asked().len();
        let events = talk.answer().await;
        let outputs = of_kind(&events, "tool-output-available");
        let ids: Vec<_> = outputs.iter().map(|it| &it["output"]["id"]).collect();
        assert_eq!(ids.len(), 3, "{provider}: {events:?}");
        assert_eq!(ids[2], "9", "{provider}");
        assert!(
            said(&events).ends_with(r#"The tool said: {"id":"9","state":"shipped"}"#),
            "{provider}: {}",
            said(&events)
        );
        assert_eq!(talk.shop.asked().len() - before, 3, "{provider}");
        let requests = talk.fake.requests();
        assert_eq!(requests.len(), 3, "{provider}");
        let usage = &of_kind(&events, "data-usage")[0]["data"];
        let sent: usize = requests.iter().map(|it| it.tokens_sent).sum();
        assert_eq!(usage["outputTokens"], sent, "{provider}");
    }
}
