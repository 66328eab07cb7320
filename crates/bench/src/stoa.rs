//! `stoa serve`, and an instance on it, made through the contract.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chrono::Days;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use stoa_domain::seal::MasterKeyRing;
use stoa_domain::token::{Token, TokenKind};
use stoa_domain::{ApiTokenId, Clock, Random};
use stoa_platform_db::api_tokens::{self, ApiTokenScope, NewApiToken};
use stoa_platform_db::instances::{self, Filter as InstanceFilter};
use stoa_platform_db::{PlatformDb, usage_events};
use tokio::process::Command;

use crate::client::{Conversation, Http};
use crate::fake::Fake;
use crate::ground::Ground;
use crate::process::Process;

/// How long the server may take until it is ready.
const START: Duration = Duration::from_secs(20);

/// What stands in its streams where the first token does.
const FIRST_TOKEN: &[u8] = br#""delta":"You"#;

/// A platform: its database and its master key.
pub(crate) struct Platform {
    pub(crate) db: PlatformDb,
    url: SecretString,
    keys: SecretString,
    name: String,
}

/// A server that is ready.
pub(crate) struct Stoa {
    pub(crate) process: Process,
}

/// An instance whose answers come from the fake.
pub(crate) struct Instance {
    base: String,
    id: String,
}

impl Platform {
    /// An empty one with the present schema.
    pub(crate) async fn create(ground: &Ground, name: &str) -> Result<Self> {
        let url = ground.database(name).await?;
        let db = PlatformDb::connect(&url, 2).await?;
        db.migrate().await?;
        Ok(Self {
            db,
            url,
            keys: MasterKeyRing::generate("bench", &Random::system()),
            name: name.to_owned(),
        })
    }

    pub(crate) fn keys(&self) -> Result<MasterKeyRing> {
        Ok(MasterKeyRing::parse(&self.keys)?)
    }

    /// How many answers have been metered, for all instances.
    pub(crate) async fn metered(&self) -> Result<i64> {
        let instances = InstanceFilter {
            limit: 100,
            ..InstanceFilter::default()
        };
        let today = Clock::system().now().date_naive();
        let (from, to) = (today - Days::new(1), today + Days::new(1));
        let mut connection = self.db.acquire().await?;
        let mut sum = 0;
        for instance in instances::list(&mut connection, &instances).await? {
            let days = usage_events::sum_by_day(&mut connection, instance.id, from, to).await?;
            sum += days.iter().map(|day| day.messages).sum::<i64>();
        }
        Ok(sum)
    }

    /// A place for what its processes leave.
    fn directory(&self, ground: &Ground) -> Result<PathBuf> {
        let directory = ground.directory().join(&self.name);
        std::fs::create_dir_all(&directory)?;
        Ok(directory)
    }

    /// `stoa` on this platform, with the settings of production, except that it may reach loopback.
    pub(crate) fn command(&self, ground: &Ground, arguments: &[&str]) -> Result<Command> {
        let directory = self.directory(ground)?;
        let mut command = Command::new(&ground.binary);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOST", "127.0.0.1")
            .env("PLATFORM_DATABASE_URL", self.url.expose_secret())
            .env(
                "STOA_MANAGED_DATABASE_URL",
                ground.cluster().expose_secret(),
            )
            .env("STOA_MASTER_KEY", self.keys.expose_secret())
            .env("STOA_ALLOWED_PRIVATE_HOSTS", "127.0.0.1")
            .env("STOA_DATA_DIR", &directory)
            .current_dir(&directory);
        Ok(command)
    }

    async fn token(&self) -> Result<Token> {
        let random = Random::system();
        let token = Token::issue(TokenKind::Platform, &random);
        let new = NewApiToken {
            id: ApiTokenId::generate(&Clock::system(), &random),
            scope: ApiTokenScope::Platform,
            name: "bench".into(),
            token: token.hash(),
            hint: token.hint(),
            created_at: Clock::system().now(),
        };
        let mut connection = self.db.acquire().await?;
        api_tokens::insert(&mut connection, &new).await?;
        Ok(token)
    }
}

impl Stoa {
    /// A server that is ready.
    pub(crate) async fn start(ground: &Ground, platform: &Platform, http: &Http) -> Result<Self> {
        let free = std::net::TcpListener::bind("127.0.0.1:0")?;
        let port = free.local_addr()?.port();
        drop(free);
        let mut command = platform.command(ground, &["serve"])?;
        let log_file = platform.directory(ground)?.join("log");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log_file)?;
        command
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let base = format!("http://127.0.0.1:{port}");
        let mut process = Process::listening_at(base, command)?;
        let ready = format!("{}/readyz", process.base);
        let started = Instant::now();
        while !http.is_up(&ready).await {
            let said = || std::fs::read_to_string(&log_file).unwrap_or_default();
            process.check_alive().with_context(said)?;
            ensure!(started.elapsed() < START, "not ready: {}", said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { process })
    }

    /// An active instance on a managed database, without documents.
    pub(crate) async fn instance(
        &self,
        platform: &Platform,
        fake: &Fake,
        http: &Http,
    ) -> Result<Instance> {
        let managed = json!({ "mode": "managed" });
        self.instance_on(&managed, platform, fake, http).await
    }

    /// An active instance on this database, as the contract describes one, without documents.
    pub(crate) async fn instance_on(
        &self,
        database: &Value,
        platform: &Platform,
        fake: &Fake,
        http: &Http,
    ) -> Result<Instance> {
        let base = &self.process.base;
        let token = platform.token().await?;
        let instances = format!("{base}/api/platform/v1/instances");
        let new = json!({
            "name": "Bench",
            "admin_email": "bench@example.com",
            "plan": "scale",
            "database": database,
        });
        let created = http.post(&instances, token.expose(), &new).await?;
        let id = text(&created["instance"]["id"])?;
        let keys = format!("{instances}/{id}/api-keys");
        let named = json!({ "name": "bench" });
        let key = http.post(&keys, token.expose(), &named).await?;
        let key = text(&key["key"])?;
        let configurations = format!("{base}/api/client/v1/api-configurations");
        let model = json!({
            "name": "Fake",
            "provider": "openai_compatible",
            "model": "fake",
            "base_url": fake.base_url(),
            "api_key": "none",
        });
        let added = http.post(&configurations, &key, &model).await?;
        let test = format!("{configurations}/{}/test", text(&added["id"])?);
        let tested = http.post(&test, &key, &Value::Null).await?;
        ensure!(tested["ok"] == true, "the fake does not answer: {tested}");
        Ok(Instance {
            base: base.clone(),
            id,
        })
    }
}

impl Instance {
    /// How many there are where there are several.
    pub(crate) const SEVERAL: usize = 8;

    /// Several of them.
    pub(crate) async fn several(
        stoa: &Stoa,
        platform: &Platform,
        fake: &Fake,
        http: &Http,
    ) -> Result<Vec<Self>> {
        let mut several = Vec::with_capacity(Self::SEVERAL);
        for _ in 0..Self::SEVERAL {
            several.push(stoa.instance(platform, fake, http).await?);
        }
        Ok(several)
    }

    /// New conversations, so that all of them are talked to all the time.
    pub(crate) async fn conversations_of(
        instances: &[Self],
        http: &Http,
        count: usize,
    ) -> Result<Vec<Conversation>> {
        let mut begun = Vec::with_capacity(count);
        for instance in instances.iter().cycle().take(count) {
            begun.extend(instance.conversations(http, 1).await?);
        }
        Ok(begun)
    }

    /// New conversations.
    pub(crate) async fn conversations(
        &self,
        http: &Http,
        count: usize,
    ) -> Result<Vec<Conversation>> {
        let sessions = format!("{}/api/chat/v1/sessions", self.base);
        let new = json!({ "instance_id": self.id });
        let mut begun = Vec::with_capacity(count);
        for _ in 0..count {
            let session = http.post(&sessions, "", &new).await?;
            let id = text(&session["session"]["id"])?;
            begun.push(Conversation {
                url: format!("{sessions}/{id}/messages"),
                token: text(&session["token"])?,
                question: crate::figures::question(),
                first_token: FIRST_TOKEN,
            });
        }
        Ok(begun)
    }
}

fn text(value: &Value) -> Result<String> {
    let text = value.as_str().context("something is missing in an answer");
    Ok(text?.to_owned())
}
