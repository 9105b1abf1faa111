//! The rules of `validity`.

use super::broken;
use crate::error::{Code, Result};
use crate::input::document::Validity;
use crate::input::facts::{is_uuid, mac};

/// More addresses than a node has are a mistake.
const MOST_MACS: usize = 64;

pub fn validity(validity: &Validity) -> Result<()> {
    let wrong = |place: String, cause: &'static str| broken(Code::PlanValidity, place, cause);
    if let Some(node) = &validity.node {
        if node.macs.is_empty() && node.uuid.is_none() {
            return wrong("validity.node".into(), "neither `macs` nor `uuid`: it could be any node");
        }
        if node.macs.len() > MOST_MACS {
            return wrong("validity.node.macs".into(), "more than 64");
        }
        if let Some(i) = node.macs.iter().position(|address| mac(address).is_none()) {
            return wrong(
                format!("validity.node.macs[{i}]"),
                "not a hardware address like 52:54:00:00:00:01 of one interface alone",
            );
        }
        if node.uuid.as_deref().is_some_and(|uuid| !is_uuid(uuid)) {
            return wrong("validity.node.uuid".into(), "not 8-4-4-4-12 hexadecimal digits");
        }
    }
    if let (Some(from), Some(until)) = (validity.not_before, validity.not_after)
        && from >= until
    {
        return wrong("validity.not_after".into(), "not later than `not_before`");
    }
    Ok(())
}
