//! Lists of models.

use stoa_ai::ModelKind;
use stoa_fake_ai::FakeAi;

use crate::{WIRES, ai};

#[tokio::test]
async fn models_are_listed_through_all_pages_with_what_they_are_for() {
    use ModelKind::{Chat, Embedding, Unknown};
    let fake = FakeAi::start().await.unwrap();
    let azure: &[_] = &[("fake-gpt", Chat), ("fake-embedding", Embedding)];
    let expected: [&[_]; 5] = [
        &[("fake-chat", Unknown), ("fake-embedding", Unknown)],
        &[("fake-claude-1", Chat), ("fake-claude-2", Chat)],
        &[("fake-gemini", Chat), ("fake-embedding", Embedding)],
        azure,
        azure,
    ];
    for (wire, expected) in WIRES.into_iter().zip(expected) {
        let models = ai().models(&wire.endpoint(&fake)).await.unwrap();
        let listed: Vec<_> = models.iter().map(|it| (it.id.as_str(), it.kind)).collect();
        assert_eq!(listed, expected, "{}", wire.name);
    }
    let gemini = ai().models(&WIRES[2].endpoint(&fake)).await.unwrap();
    assert_eq!(gemini[0].context_window, Some(1_000));
    assert_eq!(gemini[0].name.as_deref(), Some("Fake Gemini"));
}
