//! Proxies that the environment names are not used.

use std::{
    net::TcpListener,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::support::{Web, ok, open};
use crate::{Bounds, FetchRequest};

/// Tells the process in which the environment names a proxy where the web server is.
const WEB: &str = "STOA_TEST_WEB";

/// The variables are read when a client is built and belong to the whole process, so the test runs
/// itself again with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_environment_are_ignored() {
    if let Ok(url) = std::env::var(WEB) {
        return fetch_twice(&url).await;
    }
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let came = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&came);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = proxy.accept() {
            count.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    let web = Web::saying(ok("", b"direct")).await;
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "tests::proxies::of_the_environment_are_ignored"]);
    again.env(WEB, web.url("/").as_str());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        again.env(name, &address).env(name.to_lowercase(), &address);
    }
    let output = tokio::task::spawn_blocking(move || again.output()).await;
    let output = output.unwrap().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(web.requests().len(), 1, "the door's request came directly");
    assert_eq!(
        came.load(Ordering::SeqCst),
        1,
        "the bare client used the proxy"
    );
}

/// Once through the door, and once with a bare client, which shows that the environment counts.
async fn fetch_twice(url: &str) {
    let request = FetchRequest::get(url.parse().unwrap());
    let fetched = open().fetch(request, Bounds::default()).await.unwrap();
    assert_eq!(fetched.whole().await.unwrap(), "direct");
    reqwest::Client::new().get(url).send().await.unwrap_err();
}
