//! Sources in sysfs: attributes by a list of their names, and no other.

use std::fmt::Write as _;
use std::path::Path;

use super::source::Member;
use super::{bounded, folders};
use crate::engine::host::Host;

/// An attribute is not longer than a page.
const LONGEST: u64 = 4096;
/// More devices of a kind are not looked at.
const MOST: usize = 512;

type Members = Result<Vec<Member>, String>;

/// Of sessions all but `password`, `password_in` and what belongs to other transports.
const SESSION: &[&str] = &[
    "abort_tmo",
    "creator",
    "data_pdu_in_order",
    "data_seq_in_order",
    "erl",
    "fast_abort",
    "first_burst_len",
    "ifacename",
    "immediate_data",
    "initial_r2t",
    "initiatorname",
    "isid",
    "lu_reset_tmo",
    "max_burst_len",
    "max_outstanding_r2t",
    "recovery_tmo",
    "state",
    "target_id",
    "target_state",
    "targetalias",
    "targetname",
    "tgt_reset_tmo",
    "tpgt",
    "tsih",
    "username",
    "username_in",
];
const CONNECTION: &[&str] = &[
    "address",
    "data_digest",
    "exp_statsn",
    "header_digest",
    "local_ipaddr",
    "local_port",
    "max_recv_dlength",
    "max_xmit_dlength",
    "persistent_address",
    "persistent_port",
    "ping_tmo",
    "port",
    "recv_tmo",
    "state",
];
const ISCSI_HOST: &[&str] =
    &["hwaddress", "initiatorname", "ipaddress", "netdev", "port_speed", "port_state"];
const BLOCK: &[&str] = &[
    "backing_dev/uevent",
    "comp_algorithm",
    "dev",
    "device/dh_state",
    "device/access_state",
    "device/model",
    "device/queue_depth",
    "device/rev",
    "device/state",
    "device/timeout",
    "device/vendor",
    "device/wwid",
    "disksize",
    "dm/name",
    "dm/suspended",
    "dm/uuid",
    "inflight",
    "initstate",
    "io_stat",
    "mm_stat",
    "queue/discard_max_bytes",
    "queue/logical_block_size",
    "queue/max_hw_sectors_kb",
    "queue/max_sectors_kb",
    "queue/nr_requests",
    "queue/physical_block_size",
    "queue/read_ahead_kb",
    "queue/rotational",
    "queue/scheduler",
    "queue/write_cache",
    "removable",
    "ro",
    "size",
    "stat",
    "wwid",
];
const NET: &[&str] = &[
    "address",
    "bonding/active_slave",
    "bonding/mode",
    "bonding/slaves",
    "carrier",
    "carrier_changes",
    "duplex",
    "flags",
    "ifindex",
    "mtu",
    "operstate",
    "speed",
    "statistics/collisions",
    "statistics/multicast",
    "statistics/rx_bytes",
    "statistics/rx_crc_errors",
    "statistics/rx_dropped",
    "statistics/rx_errors",
    "statistics/rx_missed_errors",
    "statistics/rx_over_errors",
    "statistics/rx_packets",
    "statistics/tx_bytes",
    "statistics/tx_carrier_errors",
    "statistics/tx_dropped",
    "statistics/tx_errors",
    "statistics/tx_packets",
    "type",
];

/// Writes the attributes `names` of each device in `folder`.
fn devices(host: &Host, folder: &str, names: &[&str], text: &mut String) {
    for device in folders(&host.path(folder)).iter().take(MOST) {
        let name = device.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{folder}/{name}");
        for attribute in names {
            if let Some(value) = value(&device.join(attribute)) {
                let _ = writeln!(text, "  {attribute:<28} {value}");
            }
        }
        for link in ["device/driver", "device", "master"] {
            if let Ok(to) = std::fs::read_link(device.join(link)) {
                let _ = writeln!(text, "  {:<28} {}", format!("{link} ->"), to.display());
            }
        }
        for list in ["holders", "slaves"] {
            let names: Vec<String> = folders(&device.join(list))
                .iter()
                .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
                .collect();
            if !names.is_empty() {
                let _ = writeln!(text, "  {list:<28} {}", names.join(" "));
            }
        }
    }
}

/// An attribute on one line.
fn value(path: &Path) -> Option<String> {
    let bytes = bounded(path, LONGEST)?;
    let text = String::from_utf8_lossy(&bytes);
    let words: Vec<&str> =
        text.split(|c: char| c.is_control() || c == ' ').filter(|word| !word.is_empty()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn member(name: &str, text: String) -> Members {
    if text.is_empty() { Err("there is none".to_owned()) } else { Ok(vec![Member::of(name, text)]) }
}

pub fn iscsi(host: &Host) -> Members {
    let mut text = String::new();
    devices(host, "/sys/class/iscsi_session", SESSION, &mut text);
    devices(host, "/sys/class/iscsi_connection", CONNECTION, &mut text);
    devices(host, "/sys/class/iscsi_host", ISCSI_HOST, &mut text);
    member("sys/iscsi.txt", text)
}

pub fn block(host: &Host) -> Members {
    let mut text = String::new();
    devices(host, "/sys/block", BLOCK, &mut text);
    member("sys/block.txt", text)
}

pub fn net(host: &Host) -> Members {
    let mut text = String::new();
    devices(host, "/sys/class/net", NET, &mut text);
    member("sys/net.txt", text)
}
