//! Documents: taken, indexed, found, given back, refused.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;

use crate::support::{Server, TestInstance, model_at, problem};

async fn upload(
    server: &Server,
    key: &str,
    name: &str,
    media_type: &str,
    bytes: &[u8],
) -> Response {
    const BOUNDARY: &str = "stoa-test-boundary";
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {media_type}\r\n\r\n"
    );
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    let body = [head.as_bytes(), bytes, tail.as_bytes()].concat();
    server
        .client(key, Method::POST, "/documents")
        .header(
            "content-type",
            format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .body(body)
        .send()
        .await
        .unwrap()
}

async fn search(server: &Server, key: &str, query: &str) -> Value {
    let body = json!({ "query": query });
    let response = server
        .client(key, Method::POST, "/search")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

#[tokio::test]
async fn files_and_curated_answers_are_indexed_found_and_given_back() {
    let server = Server::start().await;
    let instance = TestInstance::active(&server, "Acme").await;
    let key = &instance.key;
    let files = [
        ("hours.txt", "text/plain", &b"The shop opens at nine and closes at six."[..], "shop opens"),
        ("care.md", "text/markdown", b"# Care\n\nWash the tent by hand with lukewarm water.", "wash tent"),
        (
            "page.html",
            "text/html",
            b"<html><head><title>Points</title><script>evil()</script></head><body><p>Points expire after two years.</p></body></html>",
            "points expire",
        ),
    ];
    for (name, media_type, bytes, question) in files {
        let response = upload(&server, key, name, media_type, bytes).await;
        let (status, added) = (response.status(), response.json::<Value>().await.unwrap());
        assert_eq!(status, StatusCode::ACCEPTED, "{added}");
        assert_eq!(added["source"], "file");
        let id = added["id"].as_str().unwrap();
        let ready = instance.finished_document(&server, id).await;
        assert_eq!(ready["status"], "ready", "{ready}");
        let found = search(&server, key, question).await;
        assert_eq!(found["results"][0]["document_id"], id, "{found}");
        assert_eq!(found["results"][0]["lexical_rank"], 1);
        assert!(!found.to_string().contains("evil()"));

        let path = format!("/documents/{id}/content");
        let content = server.client(key, Method::GET, &path).send().await.unwrap();
        let headers = content.headers().clone();
        assert!(
            headers["content-disposition"]
                .to_str()
                .unwrap()
                .starts_with("attachment;")
        );
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(content.bytes().await.unwrap(), bytes);
    }
    let curated = server
        .client(key, Method::POST, "/documents")
        .json(&json!({ "question": "Do you ship to Iceland?", "answer": "Yes, within ten days." }))
        .send()
        .await
        .unwrap();
    let curated: Value = curated.json().await.unwrap();
    let id = curated["id"].as_str().unwrap();
    assert_eq!(
        instance.finished_document(&server, id).await["status"],
        "ready"
    );
    assert_eq!(
        search(&server, key, "Iceland").await["results"][0]["document_id"],
        id
    );

    let again = format!("/documents/{id}/reindex");
    let again = server
        .client(key, Method::POST, &again)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), StatusCode::ACCEPTED);
    assert_eq!(
        instance.finished_document(&server, id).await["status"],
        "ready"
    );
    let delete = server
        .client(key, Method::DELETE, &format!("/documents/{id}"))
        .send()
        .await
        .unwrap();
    assert_eq!(delete.status(), StatusCode::NO_CONTENT);
    assert_eq!(search(&server, key, "Iceland").await["results"], json!([]));
    let list = server
        .client(key, Method::GET, "/documents?limit=2")
        .send()
        .await
        .unwrap();
    let list: Value = list.json().await.unwrap();
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    assert!(list["next_cursor"].is_string());
}

#[tokio::test]
async fn with_an_embedding_model_passages_are_found_by_meaning_too() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::create(&server, "Acme").await;
    let mut model = model_at(&fake.base_url(), "fake");
    model["embedding_model"] = json!("fake-embedding");
    instance.add_model(&server, model).await;
    let id = instance
        .add_text(
            &server,
            "Boots",
            "Boots can be returned within thirty days.",
        )
        .await;
    let path = format!("/documents/{id}");
    let document = server
        .client(&instance.key, Method::GET, &path)
        .send()
        .await
        .unwrap();
    let document: Value = document.json().await.unwrap();
    assert_eq!(document["embedding_model"], "fake-embedding", "{document}");
    let found = search(&server, &instance.key, "return boots within days").await;
    let best = &found["results"][0];
    assert_eq!(
        (&best["lexical_rank"], &best["vector_rank"]),
        (&json!(1), &json!(1)),
        "{found}"
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_at_once_and_not_stored() {
    let server = Server::start().await;
    let instance = TestInstance::active(&server, "Acme").await;
    let key = &instance.key;
    let pdf = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n";
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    let cases: [(&str, &str, &[u8], u16, &str); 6] = [
        (
            "paper.pdf",
            "application/pdf",
            pdf,
            415,
            "unsupported_format",
        ),
        ("notes.txt", "text/plain", pdf, 422, "content_mismatch"),
        ("notes.md", "text/markdown", png, 422, "content_mismatch"),
        (
            "notes.txt",
            "text/plain",
            b"one\0two",
            422,
            "binary_content",
        ),
        ("notes.txt", "text/plain", b"", 422, "empty_document"),
        (
            "notes.xyz",
            "application/octet-stream",
            b"words",
            415,
            "unsupported_format",
        ),
    ];
    for (name, media_type, bytes, status, code) in cases {
        let refused = upload(&server, key, name, media_type, bytes).await;
        let document = problem(refused, status, code).await;
        if status == 415 {
            assert!(
                document["detail"].as_str().unwrap().contains("Markdown"),
                "{document}"
            );
        }
    }
    let huge = vec![b'x'; 21 * 1024 * 1024];
    let refused = upload(&server, key, "huge.txt", "text/plain", &huge).await;
    problem(refused, 413, "document_too_large").await;
    for body in [
        json!({ "title": "t" }),
        json!({ "title": "t", "text": "x", "question": "q" }),
        json!({ "url": "https://example.com" }),
        json!({ "title": "", "text": "x" }),
        json!({ "title": "t", "text": "x", "status": "ready" }),
    ] {
        let refused = server
            .client(key, Method::POST, "/documents")
            .json(&body)
            .send()
            .await
            .unwrap();
        problem(refused, 422, "invalid_body").await;
    }
    let list = server
        .client(key, Method::GET, "/documents")
        .send()
        .await
        .unwrap();
    assert_eq!(list.json::<Value>().await.unwrap()["data"], json!([]));
}
