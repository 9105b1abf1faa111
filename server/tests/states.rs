//! docs/states.md says what the code says. To bring it up to date: `UPDATE_DOCS=1 cargo test -p disklessd --test states`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use diskless::report::record::{Kind, Record};
use disklessd::state::{Told, state};
use disklessd::store::{Call, Form, Node};
use disklessd::time::Time;

const BEGIN: &str = "<!-- generated from the code -->\n";
const END: &str = "<!-- end of what is generated -->\n";

fn ipxe(given: &str) -> Call {
    Call::Ipxe { given: Some(given.to_owned()) }
}

fn event(seq: u64, event: Kind) -> Call {
    let code = (event == Kind::Failed).then(|| "luks-no-key".to_owned());
    Call::Event(Box::new(Record { seq, code, ..Record::new(event, Duration::ZERO) }))
}

fn word(calls: &[Call], silence: Duration) -> String {
    let mut told: Option<Told> = None;
    for (call, at) in calls.iter().zip(1..) {
        match &mut told {
            Some(told) => told.hear(Time(at), call),
            None => told = Some(Told::first(Time(at), call)),
        }
    }
    let now = Time(calls.len() as u64 + silence.as_millis() as u64);
    let node = Node { name: "n".into(), boot: told.map(|told| told.boot(1, None)), wanted: None, changed: 1 };
    let state = serde_json::to_value(state(&node, now, Duration::from_secs(180))).unwrap();
    state.as_str().unwrap().to_owned()
}

#[test]
fn every_state_is_described() {
    let form = Form::default;
    let cases = [
        ("nothing", vec![]),
        ("iPXE asks, and is given `boot`", vec![ipxe("boot")]),
        ("iPXE phones home", vec![Call::Ipxe { given: None }]),
        ("iPXE asks, and is given `error`", vec![ipxe("error")]),
        ("it asks again, and is given `boot`", vec![ipxe("error"), ipxe("boot")]),
        ("iPXE asks, and is given `local`", vec![ipxe("local")]),
        ("iPXE starts the kernel", vec![ipxe("boot"), Call::Kernel]),
        ("the same for `rescue`", vec![ipxe("rescue"), Call::Kernel]),
        ("any event of the agent", vec![ipxe("boot"), Call::Kernel, event(1, Kind::Run)]),
        ("the same for `trap`", vec![ipxe("trap"), Call::Kernel, event(1, Kind::Run)]),
        ("a `failed` event", vec![event(1, Kind::Run), event(2, Kind::Failed)]),
        ("a `warning` after it", vec![event(2, Kind::Failed), event(3, Kind::Warning)]),
        ("an earlier event, late", vec![event(2, Kind::Failed), event(1, Kind::Start)]),
        ("a later event", vec![event(2, Kind::Failed), event(3, Kind::Run)]),
        ("an `up` event", vec![event(3, Kind::Run), event(9, Kind::Up)]),
        ("a `watermark` after it", vec![event(9, Kind::Up), event(10, Kind::Watermark)]),
        (
            "an event that only a later agent knows, after it",
            vec![event(9, Kind::Up), event(10, Kind::Other)],
        ),
        ("the form of `diskless-report.service`", vec![ipxe("boot"), Call::Up(form())]),
        ("the same, after a `failed` event", vec![event(2, Kind::Failed), Call::Up(form())]),
        ("the form of cloud-init", vec![ipxe("boot"), Call::Cloudinit(form())]),
        (
            "the same, and then late events of the agent",
            vec![Call::Cloudinit(form()), event(4, Kind::Waiting)],
        ),
    ];
    let mut table = String::from("\n| heard of the boot | state | after a silence |\n| --- | --- | --- |\n");
    for (heard, calls) in cases {
        let words = [60, 181].map(|seconds| word(&calls, Duration::from_secs(seconds)));
        writeln!(table, "| {heard} | `{}` | `{}` |", words[0], words[1]).unwrap();
    }
    table.push('\n');

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/states.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the mark where generated text begins");
    let (written, after) = rest.split_once(END).expect("the mark where generated text ends");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(written, table, "UPDATE_DOCS=1 cargo test -p disklessd --test states");
    }
}
