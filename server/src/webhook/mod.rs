//! TELL: programs that want to know what nodes say.
//!
//! One task a webhook goes through the store's events in order, tells of each until it is taken, and then notes in the
//! store how far it is: each event is told at least once, across restarts too. No webhook waits for another one, and
//! nothing else waits for any of them.

mod post;
pub mod trigger;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::error::Result;
use crate::serve::App;
use crate::site::file::Webhook;
use crate::store::{Change, Heard};
use crate::time::Time;
use post::{Refusal, post};
use trigger::{Message, messages};

/// So often the site is asked which webhooks there are: it may have been read again.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Events that are read from the store at once.
const AT_ONCE: usize = 100;

/// How long a webhook is borne with.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The pause after a first try that failed; each further one is twice as long.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// What was heard so long ago is told no more once a try has failed.
    pub give_up: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            give_up: Duration::from_secs(24 * 3600),
        }
    }
}

/// Gives webhooks that are new their place in the events: they are told of what is heard from now on.
///
/// # Errors
/// The database cannot be read or written.
pub async fn begin(app: &App) -> Result<()> {
    let newest = *app.store.last().borrow();
    for Webhook { name, .. } in &app.site().file.webhooks {
        if app.store.delivered(name).await?.is_none() {
            app.store.write(vec![Change::Delivered { webhook: name.clone(), through: newest }]).await?;
        }
    }
    Ok(())
}

/// Tells the webhooks of the site, until the server ends.
pub async fn run(app: Arc<App>, patience: Patience) {
    let mut tasks: HashMap<String, JoinHandle<()>> = HashMap::new();
    loop {
        tasks.retain(|_, task| !task.is_finished());
        for webhook in &app.site().file.webhooks {
            if !tasks.contains_key(&webhook.name) {
                let teller = Teller { app: Arc::clone(&app), name: webhook.name.clone(), patience };
                tasks.insert(webhook.name.clone(), tokio::spawn(teller.run()));
            }
        }
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            () = app.stopping() => break,
        }
    }
    for (_, task) in tasks {
        // A task that panicked has been told of by then.
        let _ = task.await;
    }
}

/// Tells one webhook.
struct Teller {
    app: Arc<App>,
    name: String,
    patience: Patience,
}

/// There is no more to do: the server ends, or the site does not have the webhook any more.
struct Over;

impl Teller {
    /// As long as the site has it.
    async fn run(self) {
        let mut last = self.app.store.last();
        while let Ok(()) = self.events(&mut last).await {}
    }

    /// Tells the next events, or waits for some.
    async fn events(&self, last: &mut watch::Receiver<u64>) -> Result<(), Over> {
        self.webhook()?;
        // Before the store is read: what comes later wakes this task again.
        last.mark_unchanged();
        let heard = match self.unheard().await {
            Ok(heard) => heard,
            Err(error) => {
                log::error!(event = "webhook-store", webhook = self.name, error:% = error; "the database cannot be read");
                return self.pause(self.patience.longest_pause).await;
            }
        };
        if heard.is_empty() {
            tokio::select! {
                open = last.changed() => return open.map_err(|_| Over),
                over = self.pause(LOOK_EVERY) => return over,
            }
        }
        for event in &heard {
            for message in messages(event) {
                self.tell(event, message).await?;
            }
            self.note(event.id).await;
        }
        Ok(())
    }

    /// What the webhook has not been told of.
    async fn unheard(&self) -> Result<Vec<Heard>> {
        let store = &self.app.store;
        match store.delivered(&self.name).await? {
            Some(through) => store.events_after(through, AT_ONCE).await,
            // The site's file has it since it was read again.
            None => begin(&self.app).await.map(|()| Vec::new()),
        }
    }

    /// Tells of `event` until it is taken, or is not worth it any more.
    async fn tell(&self, event: &Heard, message: Message) -> Result<(), Over> {
        let body: Arc<[u8]> = message.body().into();
        let mut pause = self.patience.first_pause;
        loop {
            // Each time anew: a URL or a token that was wrong may have been corrected.
            let webhook = self.webhook()?;
            if !webhook.triggers.is_empty()
                && !webhook.triggers.iter().any(|wanted| wanted == message.trigger)
            {
                return Ok(());
            }
            let posted = tokio::select! {
                posted = post(webhook, Arc::clone(&body)) => posted,
                // Whether it was taken is not known, so it is told again when the server starts.
                () = self.app.stopping() => return Err(Over),
            };
            let Err(refusal) = posted else {
                self.app.metrics.deliveries.done(&self.name);
                return Ok(());
            };
            self.app.metrics.deliveries.failed(&self.name);
            let too_old = Time::now().since(event.at) > self.patience.give_up;
            let (webhook, id, why) = (&self.name, event.id, refusal.to_string());
            if too_old || matches!(refusal, Refusal::Content(_)) {
                log::error!(event = "webhook-skipped", webhook, id, trigger = message.trigger, why; "a webhook is not told of an event");
                return Ok(());
            }
            if pause == self.patience.first_pause {
                log::warn!(event = "webhook-failed", webhook, id, trigger = message.trigger, why; "a webhook is told again later");
            }
            self.pause(pause).await?;
            pause = (pause * 2).min(self.patience.longest_pause);
        }
    }

    /// Notes how far the webhook is. If that fails, it is told some events twice.
    async fn note(&self, through: u64) {
        let noted =
            self.app.store.write(vec![Change::Delivered { webhook: self.name.clone(), through }]).await;
        if let Err(error) = noted {
            log::error!(event = "webhook-store", webhook = self.name, error:% = error; "the database cannot be written");
        }
    }

    /// The webhook, as the site in use has it.
    fn webhook(&self) -> Result<Webhook, Over> {
        let site = self.app.site();
        site.file.webhooks.iter().find(|webhook| webhook.name == self.name).cloned().ok_or(Over)
    }

    async fn pause(&self, time: Duration) -> Result<(), Over> {
        tokio::select! {
            () = sleep(time) => Ok(()),
            () = self.app.stopping() => Err(Over),
        }
    }
}
