//! Vectors over the network.

use stoa_ai::{AiErrorCode, EmbeddingRequest, Endpoint};
use stoa_domain::Provider;
use stoa_fake_ai::FakeAi;

use crate::{WIRES, ai, endpoint};

#[tokio::test]
async fn vectors_come_in_the_order_of_the_texts_in_batches() {
    let fake = FakeAi::start().await.unwrap();
    let endpoint = endpoint(&fake.base_url());
    let texts: Vec<String> = (0..130).map(|it| format!("passage number {it}")).collect();
    let vectors = ai().embed(&endpoint, "m", &texts).await.unwrap();
    assert_eq!(vectors.len(), 130);
    assert!(vectors.iter().all(|it| it.len() == 256));
    assert_eq!(fake.count(), 3);
    // A server may answer in any order; the index counts.
    let reversed = ai()
        .embed(&endpoint, "fake:reversed", &texts)
        .await
        .unwrap();
    assert_eq!(reversed, vectors);
    assert_eq!(fake.requests()[0].body["encoding_format"], "float");
}

#[tokio::test]
async fn every_format_that_embeds_gives_the_same_vectors() {
    let fake = FakeAi::start().await.unwrap();
    let texts = ["a tent".to_owned(), "a stove".to_owned()];
    let endpoint = endpoint(&fake.base_url());
    let expected = ai().embed(&endpoint, "m", &texts).await.unwrap();
    for wire in WIRES.into_iter().filter(|it| it.name != "anthropic") {
        let endpoint = wire.endpoint(&fake);
        let vectors = ai().embed(&endpoint, "m", &texts).await.unwrap();
        assert_eq!(vectors, expected, "{}", wire.name);
        let error = ai()
            .embed(&endpoint, "fake:short", &texts)
            .await
            .unwrap_err();
        assert_eq!(error.code(), AiErrorCode::Protocol, "{}", wire.name);
    }
}

/// A request for vectors of this length.
fn of_length(texts: &[String], dimensions: Option<u32>) -> EmbeddingRequest<'_> {
    EmbeddingRequest {
        model: "m",
        texts,
        dimensions,
    }
}

#[tokio::test]
async fn vectors_are_of_the_length_that_is_asked_for_or_refused() {
    let fake = FakeAi::start().await.unwrap();
    let texts = ["a tent".to_owned()];
    for wire in WIRES.into_iter().filter(|it| it.name != "anthropic") {
        let endpoint = wire.endpoint(&fake);
        let request = of_length(&texts, Some(8));
        let (vectors, _) = ai().embed_counted(&endpoint, &request).await.unwrap();
        assert_eq!(vectors[0].len(), 8, "{}", wire.name);
        let stubborn = EmbeddingRequest {
            model: "fake:dims=16",
            ..request
        };
        let error = ai().embed_counted(&endpoint, &stubborn).await.unwrap_err();
        assert_eq!(error.code(), AiErrorCode::Rejected, "{}", wire.name);
    }
    // mistralai 3.7.0 for Python, `EmbeddingRequest`.
    let mistral = Endpoint {
        provider: Provider::Mistral,
        ..endpoint(&fake.base_url())
    };
    fake.clear_requests();
    let _ = ai()
        .embed_counted(&mistral, &of_length(&texts, Some(8)))
        .await;
    let body = &fake.requests()[0].body;
    assert_eq!(body["output_dimension"], 8);
    assert!(body.get("dimensions").is_none());
}

#[tokio::test]
async fn what_the_provider_counts_is_summed_over_batches() {
    let fake = FakeAi::start().await.unwrap();
    let texts: Vec<String> = (0..130).map(|it| format!("passage number {it}")).collect();
    let of = |texts: Vec<String>| {
        let endpoint = endpoint(&fake.base_url());
        async move {
            let (_, tokens) = ai()
                .embed_counted(&endpoint, &of_length(&texts, None))
                .await
                .unwrap();
            tokens.unwrap()
        }
    };
    let (all, first, rest) = (
        of(texts.clone()).await,
        of(texts[..1].to_vec()).await,
        of(texts[1..].to_vec()).await,
    );
    assert!(first > 0);
    assert_eq!(all, first + rest);
}

#[tokio::test]
async fn no_texts_are_no_request() {
    let fake = FakeAi::start().await.unwrap();
    assert!(
        ai().embed(&endpoint(&fake.base_url()), "m", &[])
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn vectors_that_do_not_match_are_refused() {
    let fake = FakeAi::start().await.unwrap();
    let texts = ["a".to_owned(), "b".to_owned()];
    let error = ai()
        .embed(&endpoint(&fake.base_url()), "fake:short", &texts)
        .await
        .unwrap_err();
    assert_eq!(error.code(), AiErrorCode::Protocol);
    let error = ai()
        .embed(&endpoint(&fake.base_url()), "fake:error=401", &texts)
        .await
        .unwrap_err();
    assert_eq!(error.code(), AiErrorCode::BadKey);
}

#[tokio::test]
async fn providers_without_embeddings_say_so() {
    for provider in [
        Provider::Deepseek,
        Provider::Xai,
        Provider::Anthropic,
        Provider::Passages,
    ] {
        let endpoint = Endpoint {
            provider,
            base_url: None,
            api_key: None,
        };
        let error = ai()
            .embed(&endpoint, "m", &["a".to_owned()])
            .await
            .unwrap_err();
        assert_eq!(error.code(), AiErrorCode::Unsupported);
    }
}

#[tokio::test]
async fn what_fails_to_embed_again_and_again_is_not_asked_for_a_while() {
    let fake = FakeAi::start().await.unwrap();
    let texts = ["a".to_owned()];
    for wire in WIRES.into_iter().filter(|it| it.name != "anthropic") {
        fake.clear_requests();
        let (ai, endpoint) = (ai(), wire.endpoint(&fake));
        for _ in 0..6 {
            let failed = ai.embed(&endpoint, "fake:error=503", &texts).await;
            assert_eq!(failed.unwrap_err().code(), AiErrorCode::Overloaded);
        }
        assert_eq!(fake.count(), 3, "{}", wire.name);
        assert!(ai.embed(&endpoint, "m", &texts).await.is_ok());
    }
}
