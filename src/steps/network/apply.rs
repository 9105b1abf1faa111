//! Nothing to do: the network is made by the initramfs's own back end.

use std::convert::Infallible;
use std::fmt;

use crate::error::Result;

/// There is no action of this step.
#[derive(Debug, PartialEq, Eq)]
pub struct Nothing(Infallible);

impl fmt::Display for Nothing {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

pub fn apply(action: Nothing) -> Result<()> {
    match action.0 {}
}
