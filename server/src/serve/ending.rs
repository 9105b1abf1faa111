//! The end of the server, as those see it who would otherwise wait on.

use tokio::sync::watch;

/// Whether the server ends. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Ending(watch::Sender<bool>);

impl Ending {
    /// From now on it does.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Returns when it does.
    pub async fn begun(&self) {
        // `self` holds the sender, so it is there as long as somebody waits.
        let _ = self.0.subscribe().wait_for(|begun| *begun).await;
    }
}
