//! Gathers evidence, along the chain. Nothing is changed: connections are made and closed, a login that is tried is one of
//! another session than any that the kernel has.

mod booted;
mod disk;
mod links;
mod node;
mod plan;
mod portal;
mod routes;
mod way;

use std::time::{Duration, Instant};

use super::evidence::Check;
use crate::engine::host::Host;
use crate::engine::lock;

/// The plan, and with it the way to its server, is there by then or not at all.
const PLAN_UNTIL: Duration = Duration::from_millis(4500);
/// The portals have taken a connection by then.
const WAYS_UNTIL: Duration = Duration::from_millis(7500);
/// Everything is over by then: before who waits for it loses patience.
const ALL_UNTIL: Duration = Duration::from_millis(8500);

/// Where what is found goes, from any thread.
pub type Tell<'a> = dyn Fn(Check) + Sync + 'a;

/// A look at a node.
#[derive(Clone, Copy)]
struct Look<'a> {
    host: &'a Host,
    tell: &'a Tell<'a>,
    started: Instant,
}

impl Look<'_> {
    fn tell(&self, check: Check) {
        (self.tell)(check);
    }

    /// The process of a boot that is at work right now.
    fn boot_at_work(&self) -> Option<u32> {
        let locks = std::fs::read_to_string(self.host.path("/proc/locks")).unwrap_or_default();
        lock::holder(&self.host.path(lock::FILE), &locks)
    }

    /// How much is left until `until`, at most `most`.
    fn left(&self, until: Duration, most: Duration) -> Duration {
        until.saturating_sub(self.started.elapsed()).min(most)
    }
}

/// Looks at the node, and tells what it finds, each thing as it is found.
///
/// Every probe has a deadline of its own, all together take less than nine seconds. What the kernel itself does not come
/// back from is not bounded here: [`super::collect`] is for that.
pub fn observe(host: &Host, tell: &Tell<'_>) {
    let look = Look { host, tell, started: Instant::now() };
    links::look(look);
    node::look(look);
    // Keys, the plan's file and the CA are in the initramfs alone.
    if !host.is_initramfs() {
        booted::look(look);
        return;
    }
    let Some(known) = plan::look(look) else {
        node::modules(look, None);
        return;
    };
    node::modules(look, Some(&known.document));
    // Before others look: while one look opens a disk, to another it is not there yet.
    let paths = portal::paths(look, &known);
    std::thread::scope(|scope| {
        portal::look(look, &known, &paths, scope);
        disk::look(look, &known, &paths);
    });
}
