//! A program that is killed and started again, and what its visitors reach it by.

use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use stoa_domain::{Clock, Random};
use stoa_fake_ai::FakeAi;
use tokio::sync::broadcast;

use crate::program::Program;
use crate::support::{Caller, Serving, TestInstance, free_address, model_at, on_managed_cluster};

/// How the models of its two clients write: in a quarter of a second, and in three seconds, so that
/// what has arrived is saved before the end.
const CLIENTS: [(&str, usize, usize); 2] = [("Quick", 12, 60), ("Slow", 60, 20)];

/// What a visitor sees, for those who want to kill just then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// A question is being sent.
    Asked,
    /// The answer begins.
    FirstWord,
    /// It has been coming for so long that some of it was saved.
    Saved,
    /// All of its text is there, and not yet its end.
    LastWord,
}

/// A client of the program's.
pub(super) struct Client {
    pub(super) instance: TestInstance,
    /// How many words its answers have.
    pub(super) words: usize,
}

/// A program with two clients.
pub(super) struct World {
    pub(super) name: String,
    pub(super) clients: Vec<Client>,
    pub(super) random: Random,
    program: Program,
    owner: Caller,
    address: Mutex<SocketAddr>,
    moments: broadcast::Sender<Moment>,
    /// The answers that were seen to finish since somebody looked.
    finished: Mutex<Vec<String>>,
    _fake: FakeAi,
}

/// The program as it runs now.
pub(super) struct Running {
    child: Child,
}

impl World {
    /// A platform of its own with two active clients, who have a document each. The program does
    /// not run.
    pub(super) async fn create(name: String, random: Random) -> Arc<Self> {
        let fake = FakeAi::start().await.unwrap();
        let program = on_managed_cluster().await;
        let (serving, program) = Serving::start(program, &["serve"]);
        let owner = serving.caller(&program);
        let mut clients = Vec::new();
        for (name, words, rate) in CLIENTS {
            let instance = TestInstance::create(&owner, name).await;
            let model = format!("fake:delay=20,tokens={words},rate={rate}");
            instance
                .add_model(&owner, model_at(&fake.base_url(), &model))
                .await;
            // Nobody asks for it, but it has to be searched.
            let hours = "We are open from nine to five on weekdays.";
            instance.add_text(&owner, "Opening hours", hours).await;
            clients.push(Client { instance, words });
        }
        serving.end_by(rustix::process::Signal::TERM);
        Arc::new(Self {
            name,
            clients,
            random,
            address: Mutex::new(free_address()),
            program,
            owner,
            moments: broadcast::Sender::new(4_096),
            finished: Mutex::default(),
            _fake: fake,
        })
    }

    /// Starts the program, at an address of its own each time.
    pub(super) fn start(&self) -> Running {
        let address = free_address();
        *self.address.lock().unwrap() = address;
        let log = self.program.folder().join("log");
        let log = std::fs::File::options().create(true).append(true).open(log);
        let child = self
            .program
            .command(&["serve"])
            .env("PORT", address.port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap())
            .spawn()
            .unwrap();
        Running { child }
    }

    /// Waits until the program serves, and starts it again where its address was taken meanwhile.
    pub(super) async fn ready(&self, running: &mut Running) {
        loop {
            let asked = self.caller().anonymous(Method::GET, "/readyz").send();
            if asked.await.is_ok_and(|it| it.status() == StatusCode::OK) {
                return;
            }
            if let Some(status) = running.child.try_wait().unwrap() {
                let log = std::fs::read_to_string(self.program.folder().join("log")).unwrap();
                let last = log.lines().next_back().unwrap_or_default();
                assert!(last.contains("port_in_use"), "{status}: {log}");
                *running = self.start();
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }

    /// Whoever calls the program where it is now.
    pub(super) fn caller(&self) -> Caller {
        let address = *self.address.lock().unwrap();
        self.owner.at(format!("http://{address}"))
    }

    /// Sends a request as soon as somebody listens, and again where it is asked to come back, as a
    /// program may that was started on a busy machine this moment. `None` when the connection broke before a reply.
    pub(super) async fn reach(
        &self,
        request: impl Fn(&Caller) -> RequestBuilder,
    ) -> Option<Response> {
        loop {
            match request(&self.caller()).send().await {
                Ok(response) if response.status() == StatusCode::SERVICE_UNAVAILABLE => {}
                Ok(response) => return Some(response),
                Err(error) if error.is_connect() => {}
                Err(_) => return None,
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }

    /// Begins a conversation with a client; gives its id and its token.
    pub(super) async fn begin(&self, client: usize) -> (String, String) {
        let body = json!({ "instance_id": self.clients[client].instance.id });
        loop {
            let sent = self.reach(|caller| {
                let request = caller.anonymous(Method::POST, "/api/chat/v1/sessions");
                request.json(&body)
            });
            let Some(response) = sent.await else { continue };
            assert_eq!(response.status(), StatusCode::CREATED);
            let Ok(begun) = response.json::<Value>().await else {
                continue;
            };
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            return (text(&begun["session"]["id"]), text(&begun["token"]));
        }
    }

    /// Tells whoever waits for it that this has just been seen.
    pub(super) fn saw(&self, moment: Moment) {
        self.moments.send(moment).ok();
    }

    /// Waits until a visitor sees this, though not for ever.
    pub(super) async fn seen(&self, wanted: Moment) {
        let mut moments = self.moments.subscribe();
        let heard = async { while moments.recv().await != Ok(wanted) {} };
        tokio::time::timeout(Duration::from_secs(4), heard)
            .await
            .ok();
    }

    /// Notes that a visitor saw an answer finish.
    pub(super) fn finished(&self, message: &str) {
        self.finished.lock().unwrap().push(message.to_owned());
    }

    /// The answers that were seen to finish since this was asked last.
    pub(super) fn take_finished(&self) -> Vec<String> {
        std::mem::take(&mut *self.finished.lock().unwrap())
    }

    /// The address of the platform's database.
    pub(super) fn platform(&self) -> &str {
        self.program.value("PLATFORM_DATABASE_URL")
    }
}

impl Running {
    /// `kill -9`; gives the moment at which it was gone.
    pub(super) fn kill(mut self) -> DateTime<Utc> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Clock::system().now()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
