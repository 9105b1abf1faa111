//! What the terminal shows: results, the condensed console of the demo, and its timeline.

use std::time::Duration;

use serde_json::Value;

use crate::run::Outcome;
use crate::verdict::{Verdict, agent_line};

/// The line of a scenario, and on failure why and where to look.
pub fn result(name: &str, outcome: &Outcome) -> String {
    let seconds = outcome.took.as_secs();
    match &outcome.verdict {
        Verdict::Pass => format!("PASS {name} {seconds}"),
        Verdict::Fail(why) => {
            format!(
                "FAIL {name} {seconds}\n  {why}\n  serial log: {}",
                outcome.folder.join("serial.log").display()
            )
        }
    }
}

/// A console line as the demo shows it: the agent's, and where the boot passes from hand to hand.
pub fn condensed(line: &str, since: Duration) -> Option<String> {
    const LANDMARKS: [(&str, &str); 7] = [
        ("SeaBIOS (version", "the firmware starts"),
        ("iPXE initialising devices", "iPXE starts"),
        ("/phone_home/kernel... ok", "iPXE has all, and starts the kernel"),
        ("Linux version", "the kernel starts"),
        ("Switching root", "the initramfs hands over to the image"),
        ("Reached target multi-user.target", "the image's own systemd is up"),
        ("reboot: Power down", "powered off"),
    ];
    let landmark =
        || LANDMARKS.iter().find(|(part, _)| line.contains(part)).map(|(_, text)| format!("-- {text}"));
    // What iPXE fetches, as it ends; the path says enough.
    let fetched = || {
        let (before, _) = line.split_once("... ").filter(|_| line.trim_end().ends_with("ok"))?;
        let path = before.trim_start_matches("http://").split_once('/')?.1;
        (!path.contains(' ') && before.starts_with("http://")).then(|| format!("iPXE: /{path}"))
    };
    let said = || agent_line(line).map(ToOwned::to_owned);
    let text = said().or_else(landmark).or_else(fetched)?;
    Some(format!("{:>6.1} s  {text}", since.as_secs_f64()))
}

/// The agent's steps from its state file, as far as it says.
pub fn timeline(facts: &Value) -> String {
    let steps = facts.pointer("/state/steps").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut out = format!("{:<10} {:>10} {:>10} {:>10}\n", "step", "start", "took", "own time");
    for step in steps {
        let name = step.get("name").and_then(Value::as_str).unwrap_or("?");
        let time = |field, unit| match step.get(field).and_then(Value::as_f64) {
            Some(number) => format!("{:.3} s", number / unit),
            None => "-".to_owned(),
        };
        let (start, took, own) = (time("started_ms", 1e3), time("took_ms", 1e3), time("own_us", 1e6));
        out.push_str(&format!("{name:<10} {start:>10} {took:>10} {own:>10}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_shows_the_agent_and_landmarks() {
        let at = Duration::from_millis(8250);
        let shown = condensed("[    8.1] diskless: iscsi done in 0.4 s", at).unwrap();
        assert_eq!(shown, "   8.2 s  iscsi done in 0.4 s");
        let fetched = condensed("http://198.18.0.1:32001/files/vmlinuz... 41%    ... ok", at);
        assert_eq!(fetched.unwrap(), "   8.2 s  iPXE: /files/vmlinuz");
        assert_eq!(condensed("http://198.18.0.1:32001/files/vmlinuz... 41%", at), None);
        assert!(condensed("[  OK  ] Reached target multi-user.target - Multi-User System.", at).is_some());
        assert_eq!(condensed("[    1.0] pci 0000:00:01.0: BAR 0", at), None);
    }

    #[test]
    fn the_timeline_takes_what_is_there() {
        let facts = serde_json::json!({"state": {"steps": [
            {"name": "iscsi", "started_ms": 9100, "took_ms": 412, "own_us": 3000}, {"name": "luks"}]}});
        let text = timeline(&facts);
        assert!(text.contains("9.100 s") && text.contains("0.003 s"), "{text}");
        assert_eq!(text.lines().count(), 3);
        assert_eq!(timeline(&Value::Null).lines().count(), 1);
    }
}
