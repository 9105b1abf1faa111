//! `disklessd` is what diskless nodes talk to: it gives them their boot scripts and boot plans, hears from them how far
//! they are, and tells the people and programs who wait for them.
//!
//! ```text
//!   site.toml ── site ──> nodes ──┬── check: what is wrong with it
//!                                 ├── ipxe: a boot script ──┐
//!                                 └── site::plan: a plan ───┤
//!                                                           │
//!   node  <────────── HTTP ──────────────────────────── serve ──── operator, page, metrics, webhooks
//!                                                           │
//!                  state: how far a node is  <── store: what was heard, durable
//! ```
//!
//! [`site`] reads, [`check`], [`ipxe`], [`dhcp`] and [`state`] decide, all of them pure; [`store`] keeps, [`serve`] talks,
//! [`metrics`] counts.
//! What a boot plan may say is the agent's own code, [`diskless::input::document`].

pub mod check;
pub mod cli;
pub mod client;
pub mod dhcp;
pub mod error;
pub mod ipxe;
pub mod log;
pub mod metrics;
pub mod serve;
pub mod site;
pub mod state;
pub mod store;
pub mod time;
pub mod webhook;
