//! Databases that go away, hang, are slow, or shut us out, and come back.

use std::{sync::Arc, time::Duration};

use stoa_client_db::{ClientDbError, DatabaseAddress, Deadlines, PoolSettings, Target, sessions};
use stoa_domain::{DatabaseState, SessionId};
use stoa_fake_postgres::{Behaviour, Proxy};
use tokio::time::{Instant, sleep};

use crate::support::{Client, cluster_url, hasty, new, psql, rules, url_of};

/// A client whose database lies behind a proxy, set up and warm.
struct Behind {
    client: Client,
    proxy: Proxy,
    /// The database's name, which is the role's too.
    name: String,
    session: SessionId,
}

impl Behind {
    async fn new(settings: PoolSettings) -> Self {
        let real = Client::new().await;
        let (session, _) = real.session().await;
        let address = &real.target.address;
        let proxy = Proxy::start(&format!("{}:{}", address.host(), address.port()))
            .await
            .unwrap();
        let through = proxy.url(&real.given_url());
        let through = DatabaseAddress::parse(&through, &rules()).unwrap();
        let settings = PoolSettings {
            sets_up: false,
            ..settings
        };
        let client = Client::at(real.target.instance, through, settings);
        let behind = Self {
            name: real.target.address.database().to_owned(),
            client,
            proxy,
            session,
        };
        behind.visit().await.unwrap();
        behind.news().await;
        behind
    }

    /// What a visitor does: a connection and a statement.
    async fn visit(&self) -> Result<(), ClientDbError> {
        let connection = self.client.databases.checkout(&self.client.target).await?;
        sessions::find(&connection, self.session)
            .await?
            .expect("the conversation");
        Ok(())
    }

    /// Visits ten times a second until a visit goes as `wanted`; how long that took.
    async fn until(
        &self,
        within: Duration,
        wanted: impl Fn(&Result<(), ClientDbError>) -> bool,
    ) -> Duration {
        let began = Instant::now();
        loop {
            let visit = self.visit().await;
            if wanted(&visit) {
                return began.elapsed();
            }
            assert!(began.elapsed() < within, "after {within:?}: {visit:?}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn state(&self) -> Option<DatabaseState> {
        self.client.databases.state(self.client.target.instance)
    }

    /// Waits until the pool takes the database to be in a state.
    async fn until_state(&self, state: DatabaseState) -> Duration {
        let began = Instant::now();
        while self.state() != Some(state) {
            assert!(
                began.elapsed() < Duration::from_secs(5),
                "{:?}",
                self.state()
            );
            sleep(Duration::from_millis(20)).await;
        }
        began.elapsed()
    }

    /// Waits until no connection is open.
    async fn until_closed(&self) {
        let began = Instant::now();
        while self.client.databases.open_connections() > 0 {
            assert!(began.elapsed() < Duration::from_secs(2));
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn news(&self) -> Vec<(DatabaseState, Option<&'static str>)> {
        let news = self.client.databases.news().await;
        news.into_iter()
            .map(|it| (it.state, it.fault.map(|fault| fault.code)))
            .collect()
    }
}

fn is_resting(visit: &Result<(), ClientDbError>) -> bool {
    matches!(visit, Err(ClientDbError::Resting { .. }))
}

#[tokio::test]
async fn one_visitor_finds_a_dead_database_and_none_is_needed_to_find_it_back() {
    let behind = Behind::new(PoolSettings::default()).await;
    behind.proxy.set(Behaviour::Dead).await;
    behind.visit().await.unwrap_err();
    // Nobody else comes, and it is known within moments all the same.
    behind.until_state(DatabaseState::Unreachable).await;
    assert_eq!(
        behind.news().await,
        [(DatabaseState::Unreachable, Some("connection_refused"))]
    );
    behind.until_closed().await;
    for _ in 0..200 {
        let began = Instant::now();
        let visit = behind.visit().await;
        assert!(is_resting(&visit), "{visit:?}");
        assert!(began.elapsed() < Duration::from_millis(50));
    }
    behind.proxy.set(Behaviour::Well).await;
    let took = behind.until_state(DatabaseState::Ready).await;
    eprintln!("a dead database was found back after {took:?}");
    behind.visit().await.unwrap();
    assert_eq!(behind.news().await, [(DatabaseState::Ready, None)]);
}

#[tokio::test]
async fn a_database_that_takes_connections_and_answers_nothing_is_left_alone() {
    let behind = Behind::new(hasty()).await;
    behind.proxy.set(Behaviour::Silent).await;
    let crowd = (0..20).map(|_| behind.visit());
    let visits = futures_util::future::join_all(crowd).await;
    assert!(visits.iter().all(Result::is_err));
    let began = Instant::now();
    behind.until(Duration::from_secs(5), is_resting).await;
    let visit = behind.visit().await;
    assert!(is_resting(&visit), "{visit:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(behind.state(), Some(DatabaseState::Unreachable));
    assert!(behind.client.databases.open_connections() <= 5);
    behind.proxy.set(Behaviour::Well).await;
    let took = behind.until(Duration::from_secs(6), Result::is_ok).await;
    eprintln!("a silent database was found back after {took:?}");
}

#[tokio::test]
async fn a_slow_database_is_slow_and_nothing_else() {
    let behind = Behind::new(PoolSettings {
        acquire: Duration::from_secs(30),
        deadlines: Deadlines {
            connect: Duration::from_secs(5),
            statement: Duration::from_secs(3),
        },
        ..PoolSettings::default()
    })
    .await;
    behind
        .proxy
        .set(Behaviour::Slow(Duration::from_secs(1)))
        .await;
    let crowd = (0..20).map(|_| behind.visit());
    for visit in futures_util::future::join_all(crowd).await {
        visit.unwrap();
    }
    assert_eq!(behind.state(), Some(DatabaseState::Ready));
}

/// A way in which a client shuts us out, and how it lets us in again.
struct Switch {
    off: &'static str,
    on: &'static str,
    code: &'static str,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_revokes_the_role_is_obeyed_within_ten_seconds_and_back_as_soon() {
    let switches = [
        Switch {
            off: "ALTER ROLE {name} NOLOGIN",
            on: "ALTER ROLE {name} LOGIN",
            code: "database_sign_in",
        },
        Switch {
            off: "REVOKE CONNECT ON DATABASE {name} FROM {name}, PUBLIC",
            on: "GRANT CONNECT ON DATABASE {name} TO {name}",
            code: "database_sign_in",
        },
        Switch {
            off: "REVOKE ALL ON SCHEMA stoa FROM {name}",
            on: "GRANT ALL ON SCHEMA stoa TO {name}",
            code: "database_statement",
        },
        Switch {
            off: "REVOKE ALL ON ALL TABLES IN SCHEMA stoa FROM {name}",
            on: "GRANT ALL ON ALL TABLES IN SCHEMA stoa TO {name}",
            code: "database_statement",
        },
        Switch {
            off: "REVOKE INSERT ON stoa.chat_messages FROM {name}",
            on: "GRANT INSERT ON stoa.chat_messages TO {name}",
            code: "database_statement",
        },
        Switch {
            off: "ALTER ROLE {name} RENAME TO {name}_gone",
            on: "ALTER ROLE {name}_gone RENAME TO {name}; ALTER ROLE {name} PASSWORD '{password}'",
            code: "database_sign_in",
        },
    ];
    let thrown = futures_util::future::join_all(switches.iter().map(thrown)).await;
    for (switch, (obeyed, noticed)) in switches.iter().zip(thrown) {
        eprintln!(
            "`{}`: obeyed after {obeyed:?}, undone after {noticed:?}",
            switch.off
        );
    }
}

/// Throws a switch and undoes it; how long either took to be noticed.
async fn thrown(switch: &Switch) -> (Duration, Duration) {
    let behind = Behind::new(PoolSettings::default()).await;
    let url = behind.client.given_url();
    let (_, after) = url.split_once("://").unwrap();
    let (_, password) = after.split_once('@').unwrap().0.split_once(':').unwrap();
    let filled = |sql: &str| {
        sql.replace("{name}", &behind.name)
            .replace("{password}", password)
    };
    let admin = url_of(&behind.name);
    psql(&admin, &filled(switch.off)).await.unwrap();
    let obeyed = behind.until(Duration::from_secs(11), is_resting).await;
    let (state, code) = behind.news().await[0];
    assert_eq!(
        (state, code),
        (DatabaseState::Unreachable, Some(switch.code))
    );
    behind.until_closed().await;

    // However many ask, we do not: two hundred for five seconds.
    let knocked = behind.proxy.connections();
    let crowd = (0..200).map(|_| async {
        for _ in 0..5 {
            assert!(is_resting(&behind.visit().await));
            sleep(Duration::from_secs(1)).await;
        }
    });
    futures_util::future::join_all(crowd).await;
    let knocks = behind.proxy.connections() - knocked;
    assert!(knocks <= 2, "{knocks} sign-ins in 5 s");

    psql(&admin, &filled(switch.on)).await.unwrap();
    let noticed = behind.until(Duration::from_secs(11), Result::is_ok).await;
    assert_eq!(behind.news().await, [(DatabaseState::Ready, None)]);
    (obeyed, noticed)
}

#[tokio::test]
async fn tables_that_were_taken_away_are_not_made_anew() {
    let behind = Behind::new(PoolSettings::default()).await;
    let admin = url_of(&behind.name);
    psql(&admin, "DROP SCHEMA stoa CASCADE").await.unwrap();
    behind.visit().await.unwrap_err();
    behind.until(Duration::from_secs(11), is_resting).await;
    behind.until_state(DatabaseState::Mismatch).await;
    let left = psql(&admin, "SELECT to_regnamespace('stoa') IS NULL").await;
    assert_eq!(left.as_deref(), Ok("t"));
}

#[tokio::test]
async fn a_server_that_is_full_keeps_serving_those_who_are_in() {
    let behind = Behind::new(PoolSettings::default()).await;
    let name = &behind.name;
    let limit = format!("ALTER ROLE {name} CONNECTION LIMIT 1");
    psql(&cluster_url(), &limit).await.unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(9) {
        behind.visit().await.unwrap();
        sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(behind.state(), Some(DatabaseState::Ready));
}

#[tokio::test]
async fn a_look_tells_how_a_database_is_and_everybody_profits() {
    let behind = Behind::new(PoolSettings::default()).await;
    let target = &behind.client.target;
    let databases = &behind.client.databases;
    databases.look(target).await.unwrap();
    psql(
        &cluster_url(),
        &format!("ALTER ROLE {} NOLOGIN", behind.name),
    )
    .await
    .unwrap();
    let refused = databases.look(target).await;
    assert!(
        matches!(refused, Err(ClientDbError::SignIn(_))),
        "{refused:?}"
    );
    assert!(is_resting(&behind.visit().await));
    psql(&cluster_url(), &format!("ALTER ROLE {} LOGIN", behind.name))
        .await
        .unwrap();
    databases.look(target).await.unwrap();
    behind.visit().await.unwrap();
}

#[tokio::test]
async fn a_client_with_many_waiters_does_not_starve_one_with_one() {
    let settings = PoolSettings {
        in_all: 5,
        acquire: Duration::from_secs(20),
        ..PoolSettings::default()
    };
    let busy = Client::with(settings).await;
    let quiet = Target {
        instance: new!(InstanceId),
        generation: 1,
        address: Arc::clone(&busy.target.address),
    };
    let address = crate::support::cluster()
        .create(quiet.instance, &stoa_domain::Random::system())
        .await
        .unwrap();
    let quiet = Target {
        address: Arc::new(address),
        ..quiet
    };
    drop(busy.connection().await);
    drop(busy.databases.checkout(&quiet).await.unwrap());
    let served = std::sync::atomic::AtomicUsize::new(0);
    let crowd = futures_util::future::join_all((0..1_000).map(|_| async {
        let connection = busy.connection().await;
        sleep(Duration::from_millis(5)).await;
        drop(connection);
        served.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }));
    let single = async {
        sleep(Duration::from_millis(50)).await;
        let before = served.load(std::sync::atomic::Ordering::Relaxed);
        drop(busy.databases.checkout(&quiet).await.unwrap());
        served.load(std::sync::atomic::Ordering::Relaxed) - before
    };
    let (_, overtaken) = tokio::join!(crowd, single);
    assert!(overtaken <= 100, "{overtaken} came first");
}
