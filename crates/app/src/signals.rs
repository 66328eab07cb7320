//! What other replicas say: drop what is cached, stop an answer, there is work.

use std::sync::Arc;
use std::time::Duration;

use stoa_domain::InstanceId;
use stoa_platform_db::DbError;
use stoa_platform_db::signals::{Signal, Signals};

use crate::App;

/// A value that was being read while its change was signalled may be cached just after it was
/// dropped; it is dropped once more after this time.
const SECOND_DROP: Duration = Duration::from_millis(400);

/// Starts to listen, until shutdown.
///
/// # Errors
/// When the platform's database cannot be listened to now.
pub async fn start(app: &Arc<App>) -> Result<(), DbError> {
    let signals = app.platform().listen_signals().await?;
    app.tasks().spawn(listen(Arc::clone(app), signals));
    Ok(())
}

async fn listen(app: Arc<App>, mut signals: Signals) {
    loop {
        tokio::select! {
            signal = signals.recv() => heed(&app, signal).await,
            () = app.shutdown().cancelled() => return,
        }
    }
}

async fn heed(app: &Arc<App>, signal: Signal) {
    match signal {
        Signal::InstanceChanged(instance) => {
            app.forget_instance(instance).await;
            forget_again(app, instance);
        }
        Signal::ConfigurationChanged(instance) => {
            app.forget_contents(instance).await;
            forget_again(app, instance);
        }
        Signal::StopSession(session) => {
            app.live_answers().stop_session(session);
        }
        Signal::CallDecided(answer) => {
            if let Some(live) = app.live_answers().find(answer) {
                live.decide();
            }
        }
        Signal::AnswerFollowed(answer) => {
            if let Some(live) = app.live_answers().find(answer) {
                live.followed_elsewhere();
            }
        }
        Signal::JobReady => app.wake_workers(),
        Signal::Reconnected => {
            app.forget_all();
            app.wake_workers();
        }
        Signal::SessionChanged(_) => {}
    }
}

fn forget_again(app: &Arc<App>, instance: InstanceId) {
    let app = Arc::clone(app);
    let tasks = app.tasks().clone();
    tasks.spawn(async move {
        tokio::time::sleep(SECOND_DROP).await;
        app.forget_instance(instance).await;
        app.leave_old_address(instance).await;
    });
}
