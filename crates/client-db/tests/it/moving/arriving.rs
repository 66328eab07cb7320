//! What arrives: everything, with what changed meanwhile, whatever the roles may and the servers have.

use stoa_client_db::{
    ClientDbError, DatabaseAddress,
    moving::{self, Departure, Plan},
    sessions::{self, NewSession},
};
use stoa_domain::{Random, token::SessionToken};

use super::{ALL_ROWS, FILL, Pair, Place, Work, least_privilege, ticket};
use crate::support::{new, new_id, now};

#[tokio::test]
async fn everything_arrives_and_what_changed_meanwhile_too() {
    let pair = Pair::new().await;
    let mut work = Work::captured(&pair, ticket(1)).await;
    work.copy().await.unwrap();
    let messages = work
        .progress
        .tables()
        .into_iter()
        .find(|it| it.table == "chat_messages")
        .unwrap();
    assert_eq!((messages.copied, messages.of), (1000, 1000));

    let changes = "
        UPDATE stoa.chat_messages SET content = 'changed' WHERE position % 7 = 0;
        DELETE FROM stoa.chat_sessions WHERE id IN (SELECT id FROM stoa.chat_sessions LIMIT 5);
        DELETE FROM stoa.client_users WHERE external_id = 'person 3';
        INSERT INTO stoa.client_users VALUES (gen_random_uuid(), 'person 3', NULL, NULL, true, false, '{}', now(), now());
        UPDATE stoa.live_configurations SET version = 3 WHERE version = 2;
        DELETE FROM stoa.documents WHERE title = 'Document 2';
        DELETE FROM stoa.rag_instructions";
    pair.source.ask(changes).await;
    assert!(work.catch_up().await.unwrap().changes > 250);
    assert_eq!(
        pair.source.ask(ALL_ROWS).await,
        pair.destination.ask(ALL_ROWS).await
    );
    pair.source
        .ask("DELETE FROM stoa.message_feedback; INSERT INTO stoa.rag_instructions VALUES (true, '{}', now())")
        .await;
    work.depart().await.unwrap();
    pair.require_moved().await;

    // A pool that had not heard of it finds out at its first write, and sends nobody there again.
    let session = NewSession {
        id: new!(SessionId),
        token_hash: SessionToken::issue(pair.instance, &Random::system()).hash(),
        end_user: None,
        locale: None,
        page_url: None,
        created_at: now(),
    };
    let late = pair.source.connection().await;
    let refused = sessions::create(&late, &session).await;
    assert!(matches!(refused, Err(ClientDbError::Moved)), "{refused:?}");
    drop(late);
    let again = pair.source.databases.checkout(&pair.source.target).await;
    assert!(matches!(again.err(), Some(ClientDbError::Moved)));

    // The how-to says how an owner opens it again.
    let howto = include_str!("../../../../../docs/howto/move-a-database.md");
    let (_, sql) = howto.split_once("```sql\n").unwrap();
    let (sql, _) = sql.split_once("```").unwrap();
    pair.source.ask(sql).await;
    let reopened = Place::at(
        pair.instance,
        DatabaseAddress::clone(&pair.source.target.address),
        1,
    );
    let connection = reopened.connection().await;
    sessions::create(&connection, &session).await.unwrap();
    assert_eq!(moving::state(&connection).await.unwrap(), Departure::None);
}

#[tokio::test]
async fn a_role_of_least_privilege_is_enough_on_both_sides() {
    let instance = new_id();
    let pair = Pair {
        instance,
        source: least_privilege(instance, 1).await,
        destination: least_privilege(instance, 2).await,
    };
    assert!(!pair.source.connection().await.has_vectors());
    pair.source.ask(FILL).await;
    pair.go(ticket(1)).await.unwrap();
    pair.require_moved().await;
    let plan = Plan::of(&*pair.destination.connection().await)
        .await
        .unwrap();
    let mut old = pair.source.connection().await;
    moving::take_down(&mut old, &plan, pair.instance)
        .await
        .unwrap();
}

#[tokio::test]
async fn vectors_come_along_where_both_have_them_and_stay_where_not() {
    let embed = "UPDATE stoa.document_chunks SET embedding_model = 'm', embedding = stoa.to_vector(ARRAY[0.1, ordinal, 1e-7]::real[]);
                 UPDATE stoa.documents SET embedding_model = 'm'";
    let vectors = "SELECT md5(string_agg(id::text || embedding::text || embedding_model, '' ORDER BY id)) FROM stoa.document_chunks";
    let pair = Pair::new().await;
    assert!(
        pair.source.connection().await.has_vectors(),
        "the test's server has pgvector"
    );
    pair.source.ask(embed).await;
    pair.go(ticket(1)).await.unwrap();
    assert_eq!(
        pair.source.ask(vectors).await,
        pair.destination.ask(vectors).await
    );

    let pair = Pair::new().await;
    pair.source.ask(embed).await;
    let pair = Pair {
        destination: least_privilege(pair.instance, 2).await,
        ..pair
    };
    pair.go(ticket(1)).await.unwrap();
    let unembedded =
        "SELECT count(*) FROM stoa.document_chunks c JOIN stoa.documents d ON d.id = c.document_id
                      WHERE c.embedding_model IS NULL AND d.embedding_model IS NULL";
    assert_eq!(pair.destination.ask(unembedded).await, "50");
}
