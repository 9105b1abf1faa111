//! cloud-init in the image: what the plan has for it, as the seed of its data source NoCloud, and what it is not to do on
//! a diskless node. See its own documentation, "NoCloud" and "Base configuration".

use serde_json::Value;

use crate::input::document::{CloudInit, Document};
use crate::input::secret::Secret;
use crate::steps::handover::files::{Content, File};

/// An image that has this has cloud-init.
pub const SIGN: &str = "/etc/cloud/cloud.cfg";
/// Sorts behind what images and packages have there: the last one wins.
const CONFIG: &str = "/etc/cloud/cloud.cfg.d/zz-diskless.cfg";
const SEED: &str = "/var/lib/cloud/seed/nocloud";
/// Its units, of all versions; one without which none has been.
pub const UNITS: [&str; 7] = [
    "cloud-init-local.service",
    "cloud-init-main.service",
    "cloud-init.service",
    "cloud-init-network.service",
    "cloud-config.service",
    "cloud-final.service",
    "cloud-init.target",
];

/// What a run before, on the machine that the image comes from, has left behind; and what keeps it from running. With a
/// seed of the plan's own all of it goes.
pub const LEFT: [&str; 8] = [
    "/var/lib/cloud/instance",
    "/var/lib/cloud/instances",
    "/var/lib/cloud/sem",
    "/var/lib/cloud/data",
    "/var/lib/cloud/seed/nocloud-net",
    "/var/lib/cloud/seed/nocloud/network-config",
    "/var/lib/cloud/seed/nocloud/vendor-data",
    "/etc/cloud/cloud-init.disabled",
];

/// For every image that has cloud-init. Nothing of the root's disk can grow; the interface below the root stays as it is,
/// and with it all others; host keys are not cloud-init's to delete.
const ALWAYS: &str = "\
# Written by diskless: this root is an overlay on the network.
network: {config: disabled}
growpart: {mode: \"off\"}
resize_rootfs: false
ssh_deletekeys: false
";
/// With a seed: no other source is asked, and no disk is searched for one.
const PINNED: &str = "\
datasource_list: [NoCloud]
datasource: {NoCloud: {fs_label: null}}
";

/// The files for an image with cloud-init, on a node that is called `hostname`, in the boot that the kernel calls
/// `boot_id`.
pub fn files(document: &Document, hostname: Option<&str>, boot_id: &str) -> Vec<File> {
    let file = |path: String, mode, content| File { path, mode, content };
    let Some(cloud_init) = &document.cloud_init else {
        return vec![file(CONFIG.into(), 0o644, Content::text(ALWAYS))];
    };
    let hostname = document.hostname.as_deref().or(hostname);
    let data =
        |data: &Option<Secret>| Content::Whole(data.clone().unwrap_or_else(|| Secret::new(Vec::new())));
    let mut files = vec![
        file(CONFIG.into(), 0o644, Content::text(&format!("{ALWAYS}{PINNED}"))),
        file(format!("{SEED}/meta-data"), 0o600, Content::Whole(meta_data(cloud_init, hostname, boot_id))),
        file(format!("{SEED}/user-data"), 0o600, data(&cloud_init.user_data)),
    ];
    if cloud_init.vendor_data.is_some() {
        files.push(file(format!("{SEED}/vendor-data"), 0o600, data(&cloud_init.vendor_data)));
    }
    files
}

/// JSON, which is YAML, too.
fn meta_data(cloud_init: &CloudInit, hostname: Option<&str>, boot_id: &str) -> Secret {
    let mut members = cloud_init.meta_data.clone();
    // Without one of the plan's own each boot is an instance of its own: what it leaves behind ends with the boot anyway.
    let instance = cloud_init.instance_id.clone().unwrap_or_else(|| format!("diskless-{boot_id}"));
    members.insert("instance-id".into(), Value::String(instance));
    if let Some(hostname) = hostname {
        members.entry("local-hostname").or_insert_with(|| Value::String(hostname.to_owned()));
    }
    Secret::new(format!("{}\n", Value::Object(members)).into_bytes())
}

/// Which of [`LEFT`] has to go: what `files` writes does not.
pub fn left(document: &Document, files: &[File]) -> Vec<&'static str> {
    let written = |path: &str| {
        files.iter().any(|file| file.path == path)
            || document.handover.files.iter().any(|file| file.path == path)
    };
    match document.cloud_init {
        Some(_) => LEFT.into_iter().filter(|path| !written(path)).collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::handover::fixture::document;

    fn text(change: serde_json::Value, hostname: Option<&str>) -> Vec<String> {
        let files = files(&document(change), hostname, "b7c2");
        let text = |file: &File| {
            let bytes = file.content.bytes(b"", None).unwrap();
            format!("{} {:o}: {}", file.path, file.mode, String::from_utf8_lossy(&bytes))
        };
        files.iter().map(text).collect()
    }

    #[test]
    fn without_a_seed_only_the_root_is_protected() {
        let files = text(serde_json::json!({}), None);
        assert_eq!(files, [format!("/etc/cloud/cloud.cfg.d/zz-diskless.cfg 644: {ALWAYS}")]);
        assert!(left(&document(serde_json::json!({})), &[]).is_empty());
    }

    #[test]
    fn a_seed_is_whole_and_the_plan_s_own_names_go_first() {
        let files = text(serde_json::json!({"cloud_init": {}}), None);
        assert!(files[0].ends_with(&format!("{ALWAYS}{PINNED}")));
        let seed = "/var/lib/cloud/seed/nocloud";
        assert_eq!(
            files[1..],
            [
                format!(
                    "{seed}/meta-data 600: {{\"instance-id\":\"diskless-b7c2\",\"local-hostname\":\"node1\"}}\n"
                ),
                format!("{seed}/user-data 600: ")
            ]
        );
        let plan = serde_json::json!({"hostname": null, "cloud_init": {
            "instance_id": "i-1", "user_data": "#cloud-config\n{}\n", "vendor_data": "v",
            "meta_data": {"tags": ["a \"b\""]}
        }});
        let files = text(plan.clone(), Some("from-dhcp"));
        assert_eq!(
            files[1..],
            [
                format!(
                    "{seed}/meta-data 600: {{\"instance-id\":\"i-1\",\"local-hostname\":\"from-dhcp\",\"tags\":[\"a \\\"b\\\"\"]}}\n"
                ),
                format!("{seed}/user-data 600: #cloud-config\n{{}}\n"),
                format!("{seed}/vendor-data 600: v")
            ]
        );
        let document = document(plan);
        let left = left(&document, &super::files(&document, None, "b7c2"));
        assert_eq!(left.len(), LEFT.len() - 1);
        assert!(!left.contains(&"/var/lib/cloud/seed/nocloud/vendor-data"));
    }
}
