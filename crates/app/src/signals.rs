//! What replicas tell each other: drop what is cached, stop an answer, there is work.

use std::sync::Arc;
use std::time::Duration;

use stoa_domain::{InstanceId, MessageId, SessionId};
use stoa_platform_db::DbError;
use stoa_platform_db::signals::{self, Signal, Signals};

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

impl App {
    /// Tells every replica, this one first, that an instance's settings in its database changed.
    ///
    /// The change itself is committed, so a signal that cannot be sent is logged and not an error:
    /// the others read the settings anew within a minute.
    pub(crate) async fn tell_contents_changed(&self, instance: InstanceId) {
        self.forget_contents(instance).await;
        if let Err(error) = self.signal(Signal::ConfigurationChanged(instance)).await {
            tracing::error!(%instance, %error, "other replicas were not told of changed settings");
        }
    }

    /// Asks every replica to stop what it writes in a conversation.
    pub(crate) async fn signal_stop(&self, session: SessionId) -> Result<(), DbError> {
        self.signal(Signal::StopSession(session)).await
    }

    /// Tells every replica that the visitor has said whether a call of this answer may be made. The
    /// word is stored and the writer looks for it now and then, so a signal that cannot be sent is
    /// logged and not an error.
    pub(crate) async fn tell_call_decided(&self, answer: MessageId) {
        if let Err(error) = self.signal(Signal::CallDecided(answer)).await {
            tracing::error!(%answer, %error, "replicas were not told of a visitor's word");
        }
    }

    /// Tells the replica that writes this answer that somebody listens here.
    pub(crate) async fn tell_answer_followed(&self, answer: MessageId) {
        if let Err(error) = self.signal(Signal::AnswerFollowed(answer)).await {
            tracing::warn!(%answer, %error, "the writer of an answer was not told of a listener");
        }
    }

    /// Tells every replica that something is new in a conversation. What is new is stored, so a
    /// signal that cannot be sent is logged and not an error.
    pub(crate) async fn tell_session_changed(&self, session: SessionId) {
        if let Err(error) = self.signal(Signal::SessionChanged(session)).await {
            tracing::error!(%session, %error, "replicas were not told of a changed conversation");
        }
    }

    async fn signal(&self, signal: Signal) -> Result<(), DbError> {
        let mut connection = self.platform().acquire().await?;
        signals::send(&mut connection, signal).await
    }
}
