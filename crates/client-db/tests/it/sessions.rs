//! Lists of conversations.

use stoa_client_db::{
    Cursor, PageRequest,
    sessions::{self, SessionFilter},
};
use stoa_domain::SessionStatus;

use crate::support::Client;
use crate::turns::begin;

#[tokio::test]
async fn lists_go_on_where_they_stopped() {
    let client = Client::new().await;
    let mut expected = Vec::new();
    for number in 0..5 {
        let (session, token) = client.session().await;
        let connection = client.connection().await;
        let text = format!("Question number {number} about ÄPFEL");
        begin(&connection, session, &token.hash(), None, &text).await;
        expected.insert(0, session);
    }
    let connection = client.connection().await;
    let mut request = PageRequest {
        limit: 2,
        after: None,
    };
    let mut found = Vec::new();
    loop {
        let page = sessions::list(&connection, &Default::default(), &request)
            .await
            .unwrap();
        found.extend(page.data.iter().map(|it| it.id));
        match page.next_cursor {
            Some(cursor) => request.after = Cursor::parse(&cursor.to_string()),
            None => break,
        }
    }
    assert_eq!(found, expected);
    let matching = async |filter| {
        let first = PageRequest {
            limit: 50,
            after: None,
        };
        let page = sessions::list(&connection, &filter, &first).await.unwrap();
        page.data.iter().map(|it| it.id).collect::<Vec<_>>()
    };
    let filter = SessionFilter {
        text: Some("NUMBER 3".into()),
        ..Default::default()
    };
    assert_eq!(matching(filter).await, [expected[1]]);
    let filter = SessionFilter {
        status: Some(SessionStatus::Closed),
        ..Default::default()
    };
    assert_eq!(matching(filter).await, []);
}
