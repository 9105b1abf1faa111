//! Which boot of its node a call belongs to. Only the agent's events name their boot; iPXE and the forms do not.

use std::time::Duration;

use super::{Stage, Told};
use crate::store::Call;
use crate::time::Time;

/// Who asks or says the same again within this time only tries again.
const AGAIN: Duration = Duration::from_secs(10 * 60);

impl Told {
    /// Whether `call` goes on with this boot, which is the newest of its node, or begins another one. `has_id`: the
    /// agent of this boot was heard of, and `call` is no event of it.
    pub fn goes_on(&self, has_id: bool, at: Time, call: &Call) -> bool {
        let soon = at.since(self.heard()) <= AGAIN;
        match call {
            Call::Ipxe { .. } => !has_id && self.stage() == Stage::Ipxe && soon,
            Call::Kernel => !has_id && self.stage() <= Stage::Kernel,
            // Events may come after the form of the same boot, if no server was there in the initramfs.
            Call::Event(_) => !has_id && (self.stage() <= Stage::Kernel || soon),
            Call::Up(_) | Call::Cloudinit(_) => true,
        }
    }

    /// Whether `call` is a form that this boot has just sent, and sends again because it got no answer.
    pub fn repeats(&self, at: Time, call: &Call) -> bool {
        self.said(call).is_some_and(|said| at.since(said) <= AGAIN)
    }
}
