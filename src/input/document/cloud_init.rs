//! What cloud-init of the image is told.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::input::secret::Secret;

/// The data of an instance, for cloud-init's data source NoCloud. cloud-init runs anew with it, whatever the image has left
/// of former instances.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct CloudInit {
    /// The instance's id; none: another one at each boot.
    pub instance_id: Option<String>,
    /// What the instance is to do: `#cloud-config`, a script, or any other form that cloud-init takes.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub user_data: Option<Secret>,
    /// Members of the meta-data beside `instance-id`. There must be no secret among them.
    pub meta_data: Map<String, Value>,
    /// What the site has for all its instances; user_data goes before it.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub vendor_data: Option<Secret>,
}
