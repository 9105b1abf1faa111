//! What a simulated node says, from its boot script to cloud-init, and in which state that must leave it.

use serde_json::{Value, json};

use super::program::{mac, name};

/// The agent's steps.
const STEPS: [&str; 8] = ["network", "plan", "iscsi", "luks", "volumes", "zram", "overlay", "handover"];

/// One request of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Say {
    /// GET of this path.
    Get(String),
    /// POST of an event, with its number.
    Event(u64, Value),
    /// POST of cloud-init's form.
    Form(String),
}

/// What goes wrong with a node; with nine of ten nothing does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Every event is posted twice.
    Repeats,
    /// Every third event is lost.
    Losses,
    /// Events come in another order.
    Disorder,
    /// The key does not open the disk.
    WrongKey,
    /// It stops while it waits for its target.
    Stops,
}

/// The fault of the node with this number.
pub fn fault(node: u32) -> Option<Fault> {
    use Fault::{Disorder, Losses, Repeats, Stops, WrongKey};
    let faults = [Repeats, Losses, Disorder, WrongKey, Stops];
    node.is_multiple_of(10).then(|| faults.into_iter().cycle().nth((node / 10) as usize)).flatten()
}

/// The state in which it must end.
pub fn end(node: u32) -> &'static str {
    match fault(node) {
        Some(Fault::WrongKey) => "failed",
        Some(Fault::Stops) => "agent",
        _ => "cloudinit",
    }
}

/// The kernel's boot id of its boot.
pub fn boot_id(node: u32) -> String {
    format!("00000000-0000-4000-8000-{node:012x}")
}

/// All it says, in the order in which it says it.
pub fn says(node: u32) -> Vec<Say> {
    let (name, mac) = (name(node), mac(node));
    let mut said = vec![
        Say::Get(format!("/boot.ipxe?mac={mac}&uuid=&hostname={name}")),
        Say::Get(format!("/phone_home/kernel?mac={mac}&uuid=&hostname={name}")),
        Say::Get(format!("/plan/{name}")),
    ];
    let fault = fault(node);
    let mut events = events(node, fault);
    match fault {
        Some(Fault::Repeats) => {
            events = events.into_iter().flat_map(|event| [event.clone(), event]).collect()
        }
        // The last one is `up`: a node that never said it would not be up.
        Some(Fault::Losses) => {
            let last = events.len();
            events = events
                .into_iter()
                .enumerate()
                .filter(|(at, _)| at % 3 != 1 || at + 1 == last)
                .map(|(_, event)| event)
                .collect();
        }
        Some(Fault::Disorder) => events.chunks_mut(4).for_each(<[Say]>::reverse),
        _ => {}
    }
    said.extend(events);
    if end(node) == "cloudinit" {
        said.push(Say::Form(format!(
            "pub_key_rsa=ssh-rsa+AAAA&pub_key_ecdsa=N%2FA&pub_key_ed25519=N%2FA\
             &instance_id=iid-{name}&hostname={name}&fqdn={name}.example.org"
        )));
    }
    said
}

fn events(node: u32, fault: Option<Fault>) -> Vec<Say> {
    let mut events = Vec::new();
    let mut say = |members: Value| {
        let seq = events.len() as u64 + 1;
        let mut event = json!({
            "version": "1.0", "boot_id": boot_id(node), "run": 1, "seq": seq,
            "time": "2026-01-31T08:00:00Z", "uptime_ms": 2000 + 100 * seq, "hostname": name(node),
        });
        if let (Some(event), Value::Object(members)) = (event.as_object_mut(), members) {
            event.extend(members);
        }
        events.push(Say::Event(seq, event));
    };
    say(json!({"event": "run", "detail": "diskless 0.1.0"}));
    for step in STEPS {
        say(json!({"event": "start", "step": step, "detail": "what it is about"}));
        match (step, fault) {
            ("iscsi", Some(Fault::Stops)) => {
                say(
                    json!({"event": "waiting", "step": step, "detail": "portal 10.0.255.1:3260", "left_ms": 100_000}),
                );
                return events;
            }
            ("luks", Some(Fault::WrongKey)) => {
                say(json!({"event": "failed", "step": step, "code": "luks-no-key",
                    "message": "disk sda: no keyslot opens with this key", "advice": "check the key"}));
                return events;
            }
            _ => say(json!({"event": "done", "step": step, "took_ms": 90})),
        }
    }
    say(json!({"event": "ready", "took_ms": 1800, "own_ms": 60}));
    say(json!({"event": "up"}));
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_ten_has_a_fault_and_each_fault_occurs() {
        let faults: Vec<_> = (1..=1000).filter_map(fault).collect();
        assert_eq!(faults.len(), 100);
        for kind in [Fault::Repeats, Fault::Losses, Fault::Disorder, Fault::WrongKey, Fault::Stops] {
            assert_eq!(faults.iter().filter(|fault| **fault == kind).count(), 20, "{kind:?}");
        }
    }

    #[test]
    fn a_node_without_a_fault_numbers_its_events() {
        let said = says(1);
        let numbers: Vec<u64> = said
            .iter()
            .filter_map(|say| if let Say::Event(seq, _) = say { Some(*seq) } else { None })
            .collect();
        assert_eq!(numbers, (1..=19).collect::<Vec<_>>());
        assert!(matches!(said.last(), Some(Say::Form(_))));
    }
}
