//! Creates a map.

use std::time::Duration;

use crate::error::Result;
use crate::sys::dm::{self, Map};

/// How long udev may take to see to a map.
const UDEV_LIMIT: Duration = Duration::from_secs(30);

pub fn apply(map: &Map) -> Result<()> {
    dm::create(map, UDEV_LIMIT)
}
