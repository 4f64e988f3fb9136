//! Ctrl-C, SIGTERM and SIGHUP, for commands that leave something behind if they end at any moment.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::failure::{Exit, Failure, While as _};

/// Takes note of signals from its making on: none of them ends the process at once, but a second one does.
#[derive(Debug, Clone)]
pub(crate) struct Interrupts(watch::Receiver<bool>);

impl Interrupts {
    /// Begins to listen.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let cannot = || "cannot wait for signals".to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().or_fail(cannot)?;
        let entered = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt()).or_fail(cannot)?;
        let mut terminate = signal(SignalKind::terminate()).or_fail(cannot)?;
        let mut hangup = signal(SignalKind::hangup()).or_fail(cannot)?;
        drop(entered);
        let (came, receiver) = watch::channel(false);
        std::thread::spawn(move || {
            let mut next = || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                        _ = hangup.recv() => {}
                    }
                });
            };
            next();
            came.send_replace(true);
            next();
            std::process::exit(Exit::Interrupted as i32);
        });
        Ok(Self(receiver))
    }

    /// Fails if a signal has come.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if *self.0.borrow() { Err(Failure::interrupted()) } else { Ok(()) }
    }

    /// Waits for a signal.
    pub(crate) async fn came(mut self) -> Failure {
        if self.0.wait_for(|came| *came).await.is_err() {
            // The listening thread is gone, and no signal can come any more.
            std::future::pending::<()>().await;
        }
        Failure::interrupted()
    }
}
