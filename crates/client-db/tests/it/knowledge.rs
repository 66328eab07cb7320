//! Documents, their passages, and finding them.

use stoa_client_db::{
    PageRequest, TextSearchConfiguration, chunks,
    chunks::{NewChunk, NewChunks},
    documents,
    documents::NewDocument,
    search,
    search::{QueryEmbedding, SearchQuery},
};
use stoa_domain::{DocumentId, DocumentSource, DocumentStatus};

use crate::support::{Client, new, now};

async fn document(client: &Client, title: &str, content: &[u8]) -> DocumentId {
    let id = new!(DocumentId);
    let document = NewDocument {
        id,
        title,
        source: DocumentSource::File,
        url: None,
        file_name: Some("handbook.md"),
        media_type: "text/markdown",
        content_sha256: [3; 32],
        content,
        created_at: now(),
    };
    documents::insert(&*client.connection().await, &document)
        .await
        .unwrap();
    id
}

fn english() -> TextSearchConfiguration {
    TextSearchConfiguration::parse("english").unwrap()
}

/// Stores passages, with vectors where they are given.
async fn store(
    client: &Client,
    document: DocumentId,
    generation: i64,
    passages: &[(&str, Option<&[f32]>)],
) -> bool {
    let new: Vec<_> = passages
        .iter()
        .enumerate()
        .map(|(ordinal, (text, embedding))| NewChunk {
            id: new!(ChunkId),
            ordinal: i32::try_from(ordinal).unwrap(),
            heading: Some("Shop"),
            text,
            token_count: 10,
            embedding: *embedding,
        })
        .collect();
    let new = NewChunks {
        document,
        generation,
        chunks: &new,
        embedding_model: Some("tiny"),
        configuration: english(),
        now: now(),
    };
    chunks::replace_all(&mut *client.connection().await, &new)
        .await
        .unwrap()
}

async fn find(client: &Client, text: &str, embedding: Option<&[f32]>) -> Vec<search::Hit> {
    let query = SearchQuery {
        text,
        embedding: embedding.map(|vector| QueryEmbedding {
            vector,
            model: "tiny",
        }),
        top_k: 5,
        configuration: english(),
    };
    search::hybrid(&*client.connection().await, &query)
        .await
        .unwrap()
}

fn texts(hits: &[search::Hit]) -> Vec<&str> {
    hits.iter().map(|it| it.text.as_str()).collect()
}

#[tokio::test]
async fn a_document_goes_from_queued_to_found_to_gone() {
    let client = Client::new().await;
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let id = document(&client, "Handbook", &bytes).await;
    let connection = client.connection().await;
    let stored = documents::find(&connection, id).await.unwrap().unwrap();
    assert_eq!(
        (stored.status, stored.generation),
        (DocumentStatus::Queued, 1)
    );
    assert_eq!(stored.byte_size, 3_000_000);
    let content = documents::content(&connection, id).await.unwrap().unwrap();
    assert_eq!(content.content.as_deref(), Some(bytes.as_slice()));
    let set = |status, error| documents::set_status(&connection, id, 1, status, error, now());
    assert!(set(DocumentStatus::Extracting, None).await.unwrap());
    assert!(
        set(DocumentStatus::Failed, Some("it is empty"))
            .await
            .unwrap()
    );
    let stored = documents::find(&connection, id).await.unwrap().unwrap();
    assert_eq!(stored.error.as_deref(), Some("it is empty"));

    assert!(
        store(
            &client,
            id,
            1,
            &[("Tents are returned within 30 days.", None)]
        )
        .await
    );
    let stored = documents::find(&connection, id).await.unwrap().unwrap();
    assert_eq!(
        (stored.status, stored.chunk_count),
        (DocumentStatus::Ready, 1)
    );
    assert_eq!(stored.error, None);
    let hits = find(&client, "returning a tent", None).await;
    assert_eq!(hits.len(), 1);
    assert_eq!(
        (hits[0].document_id, hits[0].title.as_str()),
        (id, "Handbook")
    );
    assert_eq!(
        (hits[0].score, hits[0].lexical_rank, hits[0].vector_rank),
        (1.0, Some(1), None)
    );

    let other = document(&client, "Other", b"x").await;
    let listed = documents::list(
        &connection,
        None,
        &PageRequest {
            limit: 1,
            after: None,
        },
    )
    .await;
    let listed = listed.unwrap();
    assert_eq!(listed.data[0].id, other);
    let request = PageRequest {
        limit: 1,
        after: listed.next_cursor,
    };
    let rest = documents::list(&connection, None, &request).await.unwrap();
    assert_eq!((rest.data[0].id, rest.next_cursor), (id, None));

    assert!(documents::delete(&connection, id).await.unwrap());
    assert!(!documents::delete(&connection, id).await.unwrap());
    assert!(find(&client, "tent", None).await.is_empty());
    assert_eq!(documents::content(&connection, id).await.unwrap(), None);
}

#[tokio::test]
async fn an_older_job_cannot_overwrite_a_newer_one() {
    let client = Client::new().await;
    let id = document(&client, "Handbook", b"text").await;
    assert!(store(&client, id, 1, &[("The old price is five.", None)]).await);
    let generation = documents::requeue(&*client.connection().await, id, now())
        .await
        .unwrap();
    assert_eq!(generation, Some(2));
    // While the new job works, what was found before is still found.
    assert_eq!(
        texts(&find(&client, "price", None).await),
        ["The old price is five."]
    );
    assert!(store(&client, id, 2, &[("The new price is six.", None)]).await);
    assert!(!store(&client, id, 1, &[("The late price is four.", None)]).await);
    assert_eq!(
        texts(&find(&client, "price", None).await),
        ["The new price is six."]
    );
    let connection = client.connection().await;
    let late = documents::set_status(
        &connection,
        id,
        1,
        DocumentStatus::Failed,
        Some("late"),
        now(),
    );
    assert!(!late.await.unwrap());
    assert!(
        !store(&client, new!(DocumentId), 1, &[]).await,
        "no such document"
    );
}

#[tokio::test]
async fn words_come_before_some_words_and_stems_count() {
    let client = Client::new().await;
    let id = document(&client, "Handbook", b"text").await;
    let passages = [
        ("Shipping to Norway takes nine days.", None),
        ("Shipping is free above fifty euros.", None),
        ("Our boots are made in Norway.", None),
        ("The warranty lasts two years.", None),
    ];
    assert!(store(&client, id, 1, &passages).await);
    let hits = find(&client, "How long does it take to ship to Norway?", None).await;
    assert_eq!(hits[0].text, passages[0].0);
    assert_eq!(hits.len(), 3, "the warranty has none of the words");
    assert_eq!(
        hits.iter().map(|it| it.lexical_rank).collect::<Vec<_>>(),
        [Some(1), Some(2), Some(3)]
    );
    assert!(hits.windows(2).all(|it| it[0].score > it[1].score));
    for nothing in [
        "",
        "   ",
        "the of and",
        "'; DROP TABLE stoa.documents; --",
        "a & | ! ) (",
    ] {
        find(&client, nothing, None).await;
    }
    assert!(find(&client, "zeppelin", None).await.is_empty());
}

#[tokio::test]
async fn words_and_meaning_are_fused_where_there_is_pgvector() {
    let client = Client::new().await;
    if !client.connection().await.has_vectors() {
        // The cluster of this run is one without pgvector: vectors are then left out without harm.
        let id = document(&client, "Handbook", b"text").await;
        assert!(store(&client, id, 1, &[("Money back", Some(&[1.0, 0.0]))]).await);
        let hits = find(&client, "money", Some(&[1.0, 0.0])).await;
        assert_eq!((hits[0].lexical_rank, hits[0].vector_rank), (Some(1), None));
        return;
    }
    let id = document(&client, "Handbook", b"text").await;
    // More than one batch, so that the vectors are cut apart at the right places.
    let filler: Vec<String> = (0..300).map(|it| format!("Filler passage {it}")).collect();
    let away = [0.0_f32, 0.0, 1.0];
    let mut passages: Vec<(&str, Option<&[f32]>)> = filler
        .iter()
        .map(|it| (it.as_str(), Some(&away[..])))
        .collect();
    passages.push(("You get your money back.", Some(&[1.0, 0.0, 0.0])));
    passages.push(("A refund is paid within a week.", Some(&[0.9, 0.1, 0.0])));
    assert!(store(&client, id, 1, &passages).await);
    let stored = documents::find(&*client.connection().await, id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.embedding_model.as_deref(), Some("tiny"));

    let hits = find(&client, "refund", Some(&[1.0, 0.0, 0.0])).await;
    assert_eq!(hits[0].text, "A refund is paid within a week.");
    assert_eq!(
        (hits[0].lexical_rank, hits[0].vector_rank),
        (Some(1), Some(2))
    );
    assert_eq!(hits[1].text, "You get your money back.");
    assert_eq!((hits[1].lexical_rank, hits[1].vector_rank), (None, Some(1)));
    assert!((hits[1].similarity.unwrap() - 1.0).abs() < 1e-6);
    let best = find(&client, "money back", Some(&[1.0, 0.0, 0.0])).await;
    assert_eq!(best[0].text, "You get your money back.");
    assert!(
        (best[0].score - 1.0).abs() < 1e-9,
        "first in both legs: {}",
        best[0].score
    );
    // Vectors of another model are not compared, whatever their length.
    let query = SearchQuery {
        text: "refund",
        embedding: Some(QueryEmbedding {
            vector: &[0.5; 7],
            model: "other",
        }),
        top_k: 5,
        configuration: english(),
    };
    let hits = search::hybrid(&*client.connection().await, &query)
        .await
        .unwrap();
    assert_eq!(texts(&hits), ["A refund is paid within a week."]);
}

#[tokio::test]
async fn every_known_language_is_one_that_the_server_has() {
    let client = Client::new().await;
    let connection = client.connection().await;
    for name in [
        "simple",
        "german",
        "english",
        "hungarian",
        "turkish",
        "spanish",
        "nepali",
    ] {
        let configuration = TextSearchConfiguration::parse(name).unwrap();
        let query = SearchQuery {
            text: "word",
            embedding: None,
            top_k: 1,
            configuration,
        };
        search::hybrid(&connection, &query).await.unwrap();
    }
    assert_eq!(TextSearchConfiguration::parse("public.evil"), None);
    assert_eq!(TextSearchConfiguration::parse("english; DROP"), None);
}
