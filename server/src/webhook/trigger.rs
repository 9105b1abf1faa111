//! What webhooks are told of what was heard. Pure.

use diskless::report::record::{Kind, Record};
use serde_json::{Value, json};

use crate::state::State;
use crate::store::{Call, Form, Heard};

/// iPXE phoned home: `{hostname}`.
pub const IPXE: &str = "diskless.ipxe.phone_home";
/// cloud-init phoned home: the fields of its form.
pub const CLOUDINIT: &str = "diskless.cloudinit.phone_home";
/// A node came a step farther, or failed: `{node, state, step, code}`.
pub const STATE: &str = "diskless.node.state";
/// Every trigger.
pub const TRIGGERS: &[&str] = &[IPXE, CLOUDINIT, STATE];

/// What cloud-init writes for a field that it has no value for.
const NO_VALUE: &str = "N/A";

/// One thing to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// One of [`TRIGGERS`].
    pub trigger: &'static str,
    /// What belongs to it.
    pub payload: Value,
}

impl Message {
    /// As StackStorm's generic webhook takes it (its documentation, "Webhooks", "Using a Generic Webhook").
    pub fn body(&self) -> Vec<u8> {
        json!({"trigger": self.trigger, "payload": self.payload}).to_string().into_bytes()
    }
}

/// All that is to be told of `heard`, in order.
pub fn messages(heard: &Heard) -> Vec<Message> {
    let node = &heard.node;
    let state = |state: State, step: Option<&str>, code: Option<&str>| Message {
        trigger: STATE,
        payload: json!({"node": node, "state": state, "step": step, "code": code}),
    };
    match &heard.call {
        Call::Ipxe { .. } => {
            let phoned = Message { trigger: IPXE, payload: json!({"hostname": node}) };
            vec![phoned, state(State::Ipxe, None, None)]
        }
        Call::Kernel => vec![state(State::Kernel, None, None)],
        Call::Event(record) => {
            let Record { event, step, code, .. } = record.as_ref();
            let told = match event {
                Kind::Run | Kind::Start => State::Agent,
                Kind::Failed => State::Failed,
                Kind::Up => State::Up,
                // The node is still where it was.
                Kind::Waiting
                | Kind::Done
                | Kind::Warning
                | Kind::Held
                | Kind::Released
                | Kind::Pause
                | Kind::Ready
                | Kind::Watermark
                | Kind::Down
                | Kind::Other => return Vec::new(),
            };
            vec![state(told, step.as_deref(), code.as_deref())]
        }
        Call::Up(_) => vec![state(State::Up, None, None)],
        Call::Cloudinit(form) => {
            let phoned = Message { trigger: CLOUDINIT, payload: payload(form) };
            vec![phoned, state(State::Cloudinit, None, None)]
        }
    }
}

/// The members that the trigger always had, each of them a text.
fn payload(form: &Form) -> Value {
    let or_none = |value: Option<&String>| value.map_or(NO_VALUE, String::as_str).to_owned();
    let key = |kind: &str| or_none(form.pub_keys.get(kind));
    json!({
        "pub_key_dsa": key("dsa"),
        "pub_key_rsa": key("rsa"),
        "pub_key_ecdsa": key("ecdsa"),
        "instance_id": or_none(form.instance_id.as_ref()),
        "hostname": or_none(form.hostname.as_ref()),
        "fqdn": or_none(form.fqdn.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::time::Time;

    fn told(call: Call) -> Vec<(&'static str, Value)> {
        let heard = Heard { id: 7, node: "ocean7".into(), boot: 3, at: Time(0), from: None, call };
        messages(&heard).into_iter().map(|message| (message.trigger, message.payload)).collect()
    }

    fn state(state: &str, step: Option<&str>, code: Option<&str>) -> (&'static str, Value) {
        (STATE, json!({"node": "ocean7", "state": state, "step": step, "code": code}))
    }

    #[test]
    fn each_call_has_its_triggers() {
        let phoned = (IPXE, json!({"hostname": "ocean7"}));
        assert_eq!(told(Call::Ipxe { given: None }), [phoned, state("ipxe", None, None)]);
        assert_eq!(told(Call::Kernel), [state("kernel", None, None)]);
        assert_eq!(told(Call::Up(Form::default())), [state("up", None, None)]);
        let form = Form {
            instance_id: Some("i-1".into()),
            hostname: Some("ocean7".into()),
            fqdn: None,
            pub_keys: BTreeMap::from([("rsa".into(), "ssh-rsa A".into()), ("ed25519".into(), "B".into())]),
        };
        let payload = json!({
            "pub_key_dsa": "N/A", "pub_key_rsa": "ssh-rsa A", "pub_key_ecdsa": "N/A",
            "instance_id": "i-1", "hostname": "ocean7", "fqdn": "N/A"
        });
        assert_eq!(told(Call::Cloudinit(form)), [(CLOUDINIT, payload), state("cloudinit", None, None)]);
    }

    #[test]
    fn of_the_agent_what_changes_the_state() {
        let event = |event, step: Option<&str>, code: Option<&str>| {
            let record = Record::new(event, Duration::ZERO);
            Call::Event(Box::new(Record { step: step.map(Into::into), code: code.map(Into::into), ..record }))
        };
        assert_eq!(told(event(Kind::Run, None, None)), [state("agent", None, None)]);
        assert_eq!(told(event(Kind::Start, Some("luks"), None)), [state("agent", Some("luks"), None)]);
        let failed = state("failed", Some("luks"), Some("luks-no-key"));
        assert_eq!(told(event(Kind::Failed, Some("luks"), Some("luks-no-key"))), [failed]);
        assert_eq!(told(event(Kind::Up, None, None)), [state("up", None, None)]);
        for quiet in
            [Kind::Waiting, Kind::Done, Kind::Warning, Kind::Ready, Kind::Watermark, Kind::Down, Kind::Other]
        {
            assert_eq!(told(event(quiet, Some("luks"), None)), []);
        }
    }
}
