//! What the databases say after the crashes, beside what the visitors were told.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, FromRow, PgConnection};

use super::SWEPT;
use super::visitor::{End, Question};
use super::world::World;
use crate::moving::managed_database;

/// An answer as it lay there when its program was killed.
#[derive(Clone)]
struct Cut {
    at: DateTime<Utc>,
    saved: String,
}

/// A message as it is stored.
#[derive(Debug, FromRow)]
struct Row {
    id: String,
    role: String,
    state: String,
    content: String,
    finish_reason: Option<String>,
    answer_id: Option<String>,
    superseded_by: Option<String>,
    finished_at: Option<DateTime<Utc>>,
}

/// What came of the answers of one world.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) questions: usize,
    pub(super) acknowledged: usize,
    pub(super) finished: usize,
    pub(super) interrupted: usize,
    pub(super) interrupted_with_text: usize,
    /// Stored, though the visitor was never told.
    pub(super) stored_in_secret: usize,
    /// In seconds.
    pub(super) longest_until_closed: f64,
    pub(super) killing: Duration,
    pub(super) coming_back: Duration,
}

/// The databases of one world, and what was found cut in them.
pub(super) struct Ledger {
    platform: PgConnection,
    clients: Vec<PgConnection>,
    cut: HashMap<String, Cut>,
}

impl Ledger {
    pub(super) async fn open(world: &World) -> Self {
        let mut clients = Vec::new();
        for client in &world.clients {
            let url = managed_database(&client.instance);
            clients.push(PgConnection::connect(&url).await.unwrap());
        }
        Self {
            platform: PgConnection::connect(world.platform()).await.unwrap(),
            clients,
            cut: HashMap::new(),
        }
    }

    /// Notes what lies there unfinished while no program runs. What lay there before and was not
    /// closed has not changed since: nobody writes it any more.
    pub(super) async fn note_cut(&mut self, at: DateTime<Utc>) {
        let unfinished =
            "SELECT id::text, content FROM stoa.chat_messages WHERE state = 'streaming'";
        for client in &mut self.clients {
            let rows: Vec<(String, String)> =
                sqlx::query_as(unfinished).fetch_all(client).await.unwrap();
            for (id, saved) in rows {
                let cut = Cut { at, saved };
                let known = self.cut.entry(id).or_insert_with(|| cut.clone());
                let in_flight = known.at == at || cut.saved.starts_with(&known.saved);
                assert!(in_flight, "{} became {}", known.saved, cut.saved);
            }
        }
    }

    /// What a visitor saw finish was counted before it was said, so a crash cannot undo it.
    pub(super) async fn check_counted(&mut self, finished: &[String]) {
        let counted = self.counted().await;
        for message in finished {
            assert_eq!(counted.get(message), Some(&1), "{message} was not counted");
        }
    }

    /// How often each answer was counted.
    async fn counted(&mut self) -> HashMap<String, i64> {
        let counted = "SELECT message_id::text, count(*) FROM stoa_platform.usage_events
            WHERE kind = 'answer' GROUP BY message_id";
        let rows: Vec<(String, i64)> = sqlx::query_as(counted)
            .fetch_all(&mut self.platform)
            .await
            .unwrap();
        rows.into_iter().collect()
    }

    async fn rows(&mut self, client: usize) -> Vec<Row> {
        let all = "SELECT id::text, role, state, content, finish_reason, answer_id::text,
                superseded_by::text, finished_at
            FROM stoa.chat_messages ORDER BY position";
        let connection = &mut self.clients[client];
        sqlx::query_as(all).fetch_all(connection).await.unwrap()
    }

    /// Waits until nothing is unfinished and all that has words is counted: for as long as the sweep
    /// may take at most, and one look more.
    pub(super) async fn mended(&mut self) {
        let begun = Instant::now();
        loop {
            let mut answers = Vec::new();
            for client in 0..self.clients.len() {
                answers.extend(self.rows(client).await);
            }
            answers.retain(|row| row.role == "assistant");
            let counted = self.counted().await;
            let left: Vec<_> = answers
                .iter()
                .filter(|row| {
                    row.state == "streaming"
                        || !row.content.is_empty() && !counted.contains_key(&row.id)
                })
                .collect();
            if left.is_empty() {
                let with_words = answers.iter().filter(|row| !row.content.is_empty());
                let with_words: HashSet<_> = with_words.map(|row| row.id.clone()).collect();
                let ids: HashSet<_> = counted.keys().cloned().collect();
                assert_eq!(ids, with_words, "what has no words is not counted");
                assert!(counted.values().all(|times| *times == 1), "counted twice");
                return;
            }
            assert!(begun.elapsed() < SWEPT, "not mended: {left:?}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Compares what is stored with what the visitors were told.
    pub(super) async fn check(&mut self, asked: &[Question]) -> Tally {
        let mut tally = Tally {
            questions: asked.len(),
            ..Tally::default()
        };
        for client in 0..self.clients.len() {
            let rows = self.rows(client).await;
            let asked: Vec<_> = asked.iter().filter(|it| it.client == client).collect();
            self.check_client(&rows, &asked, &mut tally);
        }
        tally
    }

    fn check_client(&self, rows: &[Row], asked: &[&Question], tally: &mut Tally) {
        let by_id: HashMap<_, _> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
        let mut stored: HashMap<&str, &Row> = HashMap::new();
        for question in rows.iter().filter(|row| row.role == "user") {
            let before = stored.insert(question.content.as_str(), question);
            assert!(before.is_none(), "{question:?} is there twice");
        }
        let current = rows
            .iter()
            .filter(|row| row.role == "assistant" && row.superseded_by.is_none());
        assert_eq!(current.count(), stored.len(), "one answer to each question");
        let known: HashSet<_> = asked.iter().map(|it| it.words.as_str()).collect();
        assert!(stored.keys().all(|it| known.contains(it)));
        for question in asked {
            let row = stored.get(question.words.as_str());
            let Some(message) = &question.message else {
                tally.stored_in_secret += usize::from(row.is_some());
                continue;
            };
            tally.acknowledged += 1;
            let row = row.unwrap_or_else(|| panic!("{question:?} was acknowledged and is gone"));
            assert_eq!(row.answer_id.as_ref(), Some(message), "{question:?}");
            let answer = by_id[message.as_str()];
            assert_eq!(answer.superseded_by, None, "{answer:?}");
            self.check_answer(question, answer, tally);
        }
    }

    fn check_answer(&self, question: &Question, answer: &Row, tally: &mut Tally) {
        let what = format!("{question:?} is stored as {answer:?}");
        if question.is_seen_whole {
            assert_eq!(
                answer.content, question.seen,
                "what is stored is what is shown"
            );
        }
        assert_eq!(answer.state, "complete", "{what}");
        assert!(question.whole.starts_with(&answer.content), "{what}");
        let cut = self.cut.get(&answer.id);
        match answer.finish_reason.as_deref() {
            Some("stop") => {
                tally.finished += 1;
                assert_eq!(answer.content, question.whole, "{what}");
                assert_ne!(question.end, Some(End::Interrupted), "{what}");
            }
            Some("interrupted") => {
                tally.interrupted += 1;
                tally.interrupted_with_text += usize::from(!answer.content.is_empty());
                assert_ne!(question.end, Some(End::Finished), "{what}");
                let cut = cut.unwrap_or_else(|| panic!("nobody was killed: {what}"));
                assert!(answer.content.starts_with(&cut.saved), "{what}");
                let until_closed = answer.finished_at.unwrap() - cut.at;
                assert!(until_closed.to_std().unwrap() < SWEPT, "{what}");
                tally.longest_until_closed = tally
                    .longest_until_closed
                    .max(until_closed.as_seconds_f64());
            }
            _ => panic!("{what}"),
        }
    }
}
